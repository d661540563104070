// Puts the model together. Each store knows what it needs and nothing of the page; here they get to know each other.

import { computed, effect, signal } from "@preact/signals";
import { createAccountHistory } from "./account-history";
import { createApi } from "./api";
import { watchBatch } from "./batch";
import { createCatalogue } from "./catalogue";
import { createClock } from "./clock";
import { createConversions } from "./conversions";
import { createDeletions } from "./deletions";
import { createDownloads } from "./downloads";
import { browser, type Environment } from "./environment";
import { createEverything } from "./everything";
import { asFailure } from "./failure";
import { follow } from "./follow";
import { createHeld } from "./held";
import { createHistory } from "./history";
import { createItems, isRunning, newItem } from "./items";
import { createJobs } from "./jobs";
import { createLogin } from "./login";
import type { Catalogue, Model } from "./model";
import { createNotices } from "./notices";
import { createNotify } from "./notify";
import { createNow } from "./now";
import { followOthers } from "./others";
import { reconcile, restoreRows } from "./restore";
import { createSession } from "./session";
import { createTabs } from "./tabs";
import { ownerOf, type HistoryEntry, type Problem, type Session } from "./types";
import { createUploads } from "./uploads";
import { backoffMs, sleep } from "./waiting";

export function createModel(given: Partial<Environment> = {}): Model {
  const env: Environment = { ...browser(), ...given };
  const clock = createClock(env.now);
  const api = createApi(env, clock);
  const notices = createNotices();
  const tabs = createTabs(env);
  const login = createLogin(env, api, tabs);
  const session = createSession(env, login, clock, notices);
  const items = createItems(env);
  const history = createHistory(tabs);
  const accountHistory = createAccountHistory(api, history, notices);
  const jobs = createJobs(api, items, history, clock);
  const notify = createNotify(env);
  const now = createNow(env, clock);
  const catalogue = signal<Catalogue | null>(null);
  const overall = watchBatch(items, notify.ended);

  // "Everything was deleted" is about an empty page, and would be read as if it were about the files that came after it.
  const empty = computed(() => items.list.value.length === 0);
  effect(() => {
    if (!empty.value) notices.withdraw("deleted_everything", "deleted_files");
  });

  let shown: { account: string; loaded: Promise<boolean> } | null = null;
  let begun = false;
  let handing: Promise<unknown> = Promise.resolve();

  let open: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    open = resolve;
  });

  const needs = { env, api, clock, session, items, history, accountHistory, jobs, notices, tabs, catalogue: () => catalogue.value };
  const held = createHeld(() => session.current.value, history, clock);
  const uploads = createUploads({ ...needs, ready, held });
  const conversions = createConversions({ ...needs, uploads, held });
  const deletions = createDeletions({ ...needs, conversions });
  const downloads = createDownloads({ ...needs, session: () => session.current.value });
  const deleteEverything = createEverything({ ...needs, conversions, uploads, deletions });
  followOthers({ ...needs, uploads });
  uploads.listener.uploaded = conversions.uploaded;

  const lines = computed<readonly HistoryEntry[]>(() => {
    const own = new Set(history.entries.value.map(({ job_id }) => job_id));
    const others = accountHistory.lines.value.filter(({ job_id, status }) => !own.has(job_id) && status !== "uploaded");
    if (others.length === 0) return history.shown.value;
    return [...history.shown.value, ...others].sort((a, b) => Date.parse(b.timestamp) - Date.parse(a.timestamp));
  });

  /** Also of rows that were removed: their end belongs into the history. */
  const running = computed(() => {
    const rows = items.list.value.filter((item) => isRunning(item.phase) || (item.job !== null && isRunning(item.job.status)));
    const lines = [...history.entries.value, ...accountHistory.lines.value].filter((entry) => isRunning(entry.status) && !entry.lost);
    return [...new Set([...rows.flatMap(({ jobId }) => jobId ?? []), ...lines.map((entry) => entry.job_id)])];
  });

  api.listener = { reached: session.reached, stale: session.renew };
  session.listener = {
    holds: () =>
      !session.current.value?.account && (items.list.value.some((item) => item.jobId !== null) || held.entries().some((entry) => entry.status === "completed")),
    handedOver(current) {
      handing = handOver(current).catch(asFailure);
    },
    replaced(current) {
      for (const { jobId } of items.list.value) if (jobId) jobs.lose(jobId);
      for (const entry of history.entries.value)
        if (!entry.lost && entry.expires_at !== current.expires_at && (isRunning(entry.status) || Date.parse(entry.expires_at) > clock.now()))
          jobs.lose(entry.job_id);
    },
  };

  async function loadCatalogue(): Promise<void> {
    for (let attempt = 0; !catalogue.value; attempt++) {
      try {
        catalogue.value = createCatalogue(await api.formats(), env.formatLabel);
      } catch {
        await sleep(backoffMs(attempt, env.random()));
        await session.reachable();
      }
    }
  }

  /** The page of whoever that is: rows and lines of the one are nothing to the other. What was added before anybody was known is to be sent by who it is. */
  function showOf(account: string): Promise<boolean> {
    if (shown?.account === account) return shown.loaded;
    if (begun) {
      uploads.dropAll();
      items.clear();
      notices.clear();
    } else {
      for (const { key, jobId } of items.list.value) if (jobId) items.remove(key);
    }
    const loaded = history.load(account).then((mine) => {
      if (mine) restoreRows(items, history, clock);
      return mine;
    });
    shown = { account, loaded };
    return loaded;
  }

  async function handOver(current: Session): Promise<void> {
    const loaded = showOf(ownerOf(current));
    begun = true;
    void history.clearOthers();
    const others = accountHistory.begin(current, loaded);
    if (await loaded) await reconcile(items, history, jobs, clock, current);
    await others;
  }

  async function signIn(name: string, password: string): Promise<Problem | null> {
    try {
      await session.change(() => login.signIn(name, password));
      return null;
    } catch (thrown) {
      return asFailure(thrown).problem;
    }
  }

  async function signOut(): Promise<void> {
    try {
      await session.change(login.signOut);
    } catch (thrown) {
      notices.problem(asFailure(thrown));
    }
  }

  const followed: Pick<typeof jobs, "apply" | "lose" | "isGone"> = {
    ...jobs,
    apply(job) {
      jobs.apply(job);
      accountHistory.apply(job);
    },
    lose(jobId, problem) {
      jobs.lose(jobId, problem);
      accountHistory.drop([jobId]);
    },
  };

  return {
    session: session.current,
    catalogue,
    connection: session.connection,
    items: items.list,
    history: lines,
    historyKept: history.kept,
    historyMore: accountHistory.more,
    notices: notices.list,
    overall,
    now: now.time,
    notifies: notify.on,

    async start() {
      // What the history says is shown before the server has answered; a browser whose IndexedDB hangs can convert all the same.
      const trouble = login.trouble();
      if (trouble) notices.problem(trouble);
      // Whose it is has to be known first where somebody has signed in.
      if (!login.mayLast()) void showOf("");
      await Promise.all([session.start(), loadCatalogue()]);
      now.start();
      open();
      follow({ ...needs, jobs: followed, deleted: deletions.happened, running });
      await handing;
    },
    add(files) {
      const rows = files.map((file) => ({ file, key: items.newKey() }));
      items.add(rows.map(({ file, key }) => newItem(key, { name: file.name, size: file.size, format: catalogue.value?.formatOf(file.name) ?? null })));
      for (const { file, key } of rows) uploads.add(key, file);
    },
    setTarget: conversions.setTarget,
    setTargetForAll: conversions.setTargetForAll,
    setOption: conversions.setOption,
    convert: conversions.convert,
    convertAll: conversions.convertAll,
    mergeAll: conversions.mergeAll,
    cancel: conversions.cancel,
    retry: conversions.retry,
    remove: conversions.remove,
    delete: deletions.row,
    downloadLink: downloads.link,
    downloadAll: downloads.downloadAll,
    download: downloads.download,
    resultText: downloads.text,
    previewUrl: (jobId, size) => `/preview?job_id=${encodeURIComponent(jobId)}&size=${size}`,
    again: conversions.again,
    againRow: conversions.againRow,
    forget: deletions.entry,
    forgetAll: deletions.past,
    showMoreHistory: accountHistory.loadMore,
    deleteEverything,
    signIn,
    signOut,
    setNotifies: notify.set,
    dismiss: notices.dismiss,
  };
}
