// Puts the model together. Each store knows what it needs and nothing of the page; here they get to know each other.

import { computed, signal } from "@preact/signals";
import { createApi } from "./api";
import { watchBatch } from "./batch";
import { createCatalogue } from "./catalogue";
import { createClock } from "./clock";
import { createConversions } from "./conversions";
import { createDownloads } from "./downloads";
import { browser, type Environment } from "./environment";
import { asFailure } from "./failure";
import { follow } from "./follow";
import { createHeld } from "./held";
import { createHistory } from "./history";
import { createItems, isRunning, newItem } from "./items";
import { createJobs } from "./jobs";
import type { Catalogue, Model } from "./model";
import { createNotices } from "./notices";
import { createNotify } from "./notify";
import { createNow } from "./now";
import { followOthers } from "./others";
import { reconcile, restoreRows } from "./restore";
import { createSession } from "./session";
import { createTabs } from "./tabs";
import { createUploads } from "./uploads";
import { backoffMs, sleep } from "./waiting";

export function createModel(given: Partial<Environment> = {}): Model {
  const env: Environment = { ...browser(), ...given };
  const clock = createClock(env.now);
  const api = createApi(env, clock);
  const notices = createNotices();
  const session = createSession(env, api, clock, notices);
  const tabs = createTabs(env);
  const items = createItems();
  const history = createHistory(tabs);
  const jobs = createJobs(api, items, history, clock);
  const notify = createNotify(env);
  const now = createNow(env, clock);
  const catalogue = signal<Catalogue | null>(null);
  const overall = watchBatch(items, notify.ended);

  let open: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    open = resolve;
  });

  const needs = { env, api, clock, session, items, history, jobs, notices, tabs, catalogue: () => catalogue.value };
  const held = createHeld(env, () => session.current.value, history);
  const uploads = createUploads({ ...needs, ready, held });
  const conversions = createConversions({ ...needs, uploads, held });
  const downloads = createDownloads({ ...needs, session: () => session.current.value });
  followOthers({ ...needs, uploads });
  uploads.listener.uploaded = conversions.uploaded;

  /** Also of rows that were removed: their end belongs into the history. */
  const running = computed(() => {
    const rows = items.list.value.filter((item) => isRunning(item.phase) || (item.job !== null && isRunning(item.job.status)));
    const lines = history.entries.value.filter((entry) => isRunning(entry.status) && !entry.lost);
    return [...new Set([...rows.flatMap(({ jobId }) => jobId ?? []), ...lines.map((entry) => entry.job_id)])];
  });

  api.listener = { reached: session.reached, stale: session.renew };
  session.listener = {
    holds: () => items.list.value.some((item) => item.jobId !== null) || held.entries().some((entry) => entry.status === "completed"),
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
        catalogue.value = createCatalogue(await api.formats());
      } catch {
        await sleep(backoffMs(attempt, env.random()));
        await session.reachable();
      }
    }
  }

  async function deleteEverything(): Promise<void> {
    try {
      await api.close();
    } catch (thrown) {
      const failure = asFailure(thrown);
      // A session that has ended is what was asked for.
      if (failure.problem.code !== "session_required") return notices.problem(failure);
    }
    uploads.dropAll();
    items.clear();
    void history.clear();
    // Only then the others: they are to come into the new session, and not to begin another one.
    await session.closed();
    tabs.tell({ type: "closed" });
    notices.info("deleted_everything");
  }

  return {
    session: session.current,
    catalogue,
    connection: session.connection,
    items: items.list,
    history: history.shown,
    notices: notices.list,
    overall,
    now: now.time,
    notifies: notify.on,

    async start() {
      // What the history says is shown before the server has answered; a browser whose IndexedDB hangs can convert all the same.
      const loaded = history.load().then(() => restoreRows(items, history, clock));
      await Promise.all([session.start(), loadCatalogue()]);
      now.start();
      open();
      follow({ ...needs, running });
      await loaded;
      const known = session.current.value;
      if (known) await reconcile(items, history, jobs, clock, known);
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
    downloadLink: downloads.link,
    downloadAll: downloads.downloadAll,
    download: downloads.download,
    resultText: downloads.text,
    previewUrl: (jobId, size) => `/preview?job_id=${encodeURIComponent(jobId)}&size=${size}`,
    again: conversions.again,
    againRow: conversions.againRow,
    forget(jobId) {
      const entry = history.get(jobId);
      if (entry) held.forgetting([entry]);
      return history.forget(jobId);
    },
    forgetAll() {
      held.forgetting(history.entries.value.filter((entry) => !entry.row));
      return history.forgetAll();
    },
    deleteEverything,
    setNotifies: notify.set,
    dismiss: notices.dismiss,
  };
}
