// What another tab did, done here.

import type { AccountHistory } from "./account-history";
import type { Clock } from "./clock";
import { itemOf } from "./entries";
import type { History } from "./history";
import type { StoredEntry } from "./history-store";
import { isEnded, isRunning, type Items } from "./items";
import type { Jobs } from "./jobs";
import type { Catalogue } from "./model";
import type { Notices } from "./notices";
import { withoutSecrets } from "./options";
import type { SessionKeeper } from "./session";
import type { Tabs } from "./tabs";
import type { Item } from "./types";
import type { Uploads } from "./uploads";

export interface OthersNeeds {
  clock: Clock;
  tabs: Tabs;
  session: SessionKeeper;
  items: Items;
  history: History;
  accountHistory: AccountHistory;
  jobs: Jobs;
  uploads: Uploads;
  notices: Notices;
  catalogue(): Catalogue | null;
}

export function followOthers({ clock, tabs, session, items, history, accountHistory, jobs, uploads, notices, catalogue }: OthersNeeds): void {
  /** A password is never told: what was typed here stays. */
  function optionsOf(item: Item, entry: StoredEntry): Pick<Item, "options" | "secrets"> {
    const told = withoutSecrets(catalogue(), item.options);
    const typed = Object.entries(item.options).filter(([name]) => !(name in told));
    return { options: { ...entry.options, ...Object.fromEntries(typed) }, secrets: [...new Set([...entry.secrets, ...typed.map(([name]) => name)])] };
  }

  function added(entry: StoredEntry): void {
    if (!entry.row || entry.lost) return;
    items.add([itemOf(items.newKey(), entry)]);
    if (isEnded(entry.status)) void jobs.refresh(entry.job_id); /* what the history doesn't keep */
  }

  function changed(item: Item, entry: StoredEntry): void {
    if (!entry.row && (entry.lost || Date.parse(entry.expires_at) <= clock.now())) {
      jobs.lose(entry.job_id);
    } else if (!entry.row) {
      uploads.drop(item.key);
      items.remove(item.key);
    } else if (item.phase === "ready" && entry.status === "uploaded") {
      items.update(item.key, { target: entry.target_format || null, ...optionsOf(item, entry) });
    } else if (isRunning(entry.status) && (item.phase === "ready" || isEnded(item.phase))) {
      // Begun there, or once more. From here on the server tells.
      items.update(item.key, { ...optionsOf(item, entry), phase: entry.status, target: entry.target_format || null, progress: 0, problem: null });
    }
  }

  function deleted(item: Item | undefined): void {
    if (!item) return;
    uploads.drop(item.key);
    items.remove(item.key);
  }

  /** What this tab has heard of the end of was told there before that. */
  function isStale({ job_id, task_id, status }: StoredEntry): boolean {
    const known = history.get(job_id);
    return known !== undefined && known.task_id === task_id && isEnded(known.status) && isRunning(status);
  }

  tabs.onMessage = (message) => {
    if (message.type === "put") {
      if (message.entry.account !== history.account || isStale(message.entry)) return;
      const item = items.ofJob(message.entry.job_id);
      history.took(message.entry);
      if (item) changed(item, message.entry);
      else added(message.entry);
    } else if (message.type === "forget") {
      history.forgotten(message.jobIds);
    } else if (message.type === "deleted") {
      history.forgotten(message.jobIds);
      accountHistory.drop(message.jobIds);
      for (const jobId of message.jobIds) deleted(items.ofJob(jobId));
    } else if (message.type === "emptied") {
      notices.info("emptied");
    } else if (message.type === "handed_over") {
      void session.renew();
    } else {
      items.clear();
      uploads.dropAll();
      notices.info("emptied");
      // In memory: the database has been emptied there, and may hold what is new by now.
      history.forgotten(history.entries.value.map((entry) => entry.job_id));
      void session.renew();
      const now = session.current.value;
      if (now) void accountHistory.begin(now);
    }
  };
}
