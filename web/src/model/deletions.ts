// Deleting jobs on the server, and with them their rows and lines here. What the server could not be told stays, says why, and can be deleted again; what it
// doesn't have (any more) is deleted.

import type { AccountHistory } from "./account-history";
import type { Api } from "./api";
import type { Clock } from "./clock";
import type { Conversions } from "./conversions";
import type { Environment } from "./environment";
import { asFailure, Failure } from "./failure";
import type { History } from "./history";
import type { Items } from "./items";
import type { Jobs } from "./jobs";
import type { Notices } from "./notices";
import type { SessionKeeper } from "./session";
import type { Tabs } from "./tabs";
import { ownerOf, type HistoryEntry, type Phase } from "./types";
import { createPool, insist } from "./waiting";

const AT_ONCE = 4;
/** Of a long history the server takes a few hundred at once (429); nothing else is worth waiting for. */
const TRIES = 10;

export interface Deletions {
  row(key: string): Promise<void>;
  /** Of the history; also of a row. */
  entry(jobId: string): Promise<void>;
  /** All of the history but what is a row. */
  past(): Promise<void>;
  /** All that this browser knows. */
  all(): Promise<void>;
  /** Another client of the session has done it. */
  happened(jobId: string): void;
}

export interface DeletionsNeeds {
  env: Environment;
  api: Api;
  clock: Clock;
  session: SessionKeeper;
  items: Items;
  history: History;
  accountHistory: AccountHistory;
  jobs: Jobs;
  notices: Notices;
  tabs: Tabs;
  conversions: Conversions;
}

export function createDeletions({ env, api, clock, session, items, history, accountHistory, jobs, notices, tabs, conversions }: DeletionsNeeds): Deletions {
  const pool = createPool(AT_ONCE);
  const { signal } = new AbortController();

  const whose = () => ownerOf(session.current.value);

  /** Throws a Failure; also when the page is another one's by now. */
  async function onServer(jobId: string): Promise<void> {
    const of = whose();
    const still = () => {
      if (whose() !== of) throw new Failure({ code: "auth_invalid", detail: "" }, 401);
    };
    const how = { signal, tries: ({ status }: { status: number }) => (status === 429 ? TRIES : 1), stalled: () => undefined, reachable: session.reachable };
    try {
      await pool.run(() => insist(env, () => (still(), api.delete(jobId)), how));
    } catch (thrown) {
      still(); /* what another one doesn't have may well be there */
      const failure = asFailure(thrown);
      if (failure.problem.code === "wrong_state") throw new Failure({ code: "file_needed", detail: "" }, failure.status);
      if (!jobs.isGone(failure)) throw failure;
    }
  }

  function happened(jobId: string): void {
    const item = items.ofJob(jobId);
    if (item) conversions.drop(item.key);
    accountHistory.drop([jobId]);
    if (history.get(jobId)) void history.deleted([jobId]);
  }

  /** What it was, or has become in the meantime. */
  function phaseNow(jobId: string, before: Phase): Phase {
    const status = history.get(jobId)?.status;
    return status === undefined ? before : status === "uploaded" ? "ready" : status;
  }

  async function row(key: string): Promise<void> {
    const item = items.get(key);
    if (!item || item.phase === "deleting") return;
    const { jobId, phase } = item;
    if (!jobId) return conversions.remove(key);
    items.update(key, { phase: "deleting", stalled: null, wanted: false, problem: null });
    conversions.callOff(key);
    try {
      await onServer(jobId);
      conversions.drop(key);
      await history.deleted([jobId]);
    } catch (thrown) {
      if (items.get(key)?.phase === "deleting") items.update(key, { phase: phaseNow(jobId, phase), problem: asFailure(thrown).problem });
    }
  }

  /** False: it is still there, and a notice says why. */
  async function isDeleted(entry: HistoryEntry): Promise<boolean> {
    if (entry.lost || Date.parse(entry.expires_at) <= clock.now()) return true; /* nobody has to be asked */
    try {
      await onServer(entry.job_id);
      return true;
    } catch (thrown) {
      notices.problem(asFailure(thrown));
      return false;
    }
  }

  async function past(): Promise<void> {
    const all = history.entries.value.filter((entry) => !entry.row);
    const deleted = await Promise.all(all.map(isDeleted));
    await history.deleted(all.filter((_, at) => deleted[at]).map((entry) => entry.job_id));
    if (deleted.includes(true)) tabs.tell({ type: "emptied" });
  }

  return {
    row,
    async entry(jobId) {
      const item = items.ofJob(jobId);
      const entry = history.get(jobId) ?? accountHistory.get(jobId);
      if (item) return row(item.key);
      if (!entry || !(await isDeleted(entry))) return;
      accountHistory.drop([jobId]);
      await history.deleted([jobId]);
    },
    past,
    async all() {
      const of = whose();
      for (let pass = 0; pass < 2 && whose() === of; pass++) {
        await Promise.all(items.list.value.map(({ key }) => row(key))); /* what one that runs needs goes after that one */
      }
      if (whose() === of) await past();
    },
    happened,
  };
}
