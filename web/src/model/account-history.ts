// What an account has, whichever browser or program has sent it: of those whose plan has that (GET /history), page by page. This browser's own lines know
// more (options, links), so they stand before these.

import { signal, type ReadonlySignal } from "@preact/signals";
import type { Api } from "./api";
import { endOf, lineOf } from "./entries";
import { asFailure } from "./failure";
import type { History } from "./history";
import type { StoredEntry } from "./history-store";
import { isEnded } from "./items";
import type { Notices } from "./notices";
import type { HistoryEntry, Job, JobPage, Session } from "./types";

/** "none": that is all, or there is no such history. */
export type More = "none" | "there" | "loading";

export interface AccountHistory {
  /** What is to be had of it so far, the newest first. */
  readonly lines: ReadonlySignal<readonly HistoryEntry[]>;
  readonly more: ReadonlySignal<More>;
  /** Of that session's account, from the start; asked for when `loaded` is there, this browser's own part of it. */
  begin(session: Session, loaded?: Promise<unknown>): Promise<void>;
  loadMore(): Promise<void>;
  get(jobId: string): HistoryEntry | undefined;
  apply(job: Job): void;
  drop(jobIds: readonly string[]): void;
}

export function createAccountHistory(api: Api, history: History, notices: Notices): AccountHistory {
  const lines = signal<readonly HistoryEntry[]>([]);
  const more = signal<More>("none");
  let session: Session | null = null;
  let cursor: string | null = null;

  const isThere = (session: Session | null) => session?.account != null && session.plan === "premium";
  const lineIn = (session: Session, job: Job) => lineOf(job, endOf(session, job.created_at));

  /** What this browser knows, and isn't where the server has it: somebody has deleted it. */
  function dropDeleted(known: readonly StoredEntry[], { jobs, next_cursor }: JobPage, from: string | undefined): void {
    const there = new Set(jobs.map(({ job_id }) => job_id));
    const newest = from === undefined ? Infinity : Date.parse(from);
    const oldest = next_cursor === null ? -Infinity : Date.parse(jobs.at(-1)?.created_at ?? "");
    const within = ({ timestamp }: StoredEntry) => Date.parse(timestamp) > oldest && Date.parse(timestamp) < newest;
    const gone = known.filter((entry) => within(entry) && isEnded(entry.status) && !entry.row && !entry.lost && !there.has(entry.job_id));
    if (gone.length > 0) void history.deleted(gone.map(({ job_id }) => job_id));
  }

  function take(of: Session, page: JobPage, known: readonly StoredEntry[]): void {
    const had = new Set(lines.value.map(({ job_id }) => job_id));
    dropDeleted(known, page, lines.value.at(-1)?.timestamp);
    lines.value = [...lines.value, ...page.jobs.filter(({ job_id }) => !had.has(job_id)).map((job) => lineIn(of, job))];
    cursor = page.next_cursor;
    more.value = cursor === null ? "none" : "there";
  }

  /** Nothing is said of what fails at the start: this browser's own lines are there. */
  async function load(says: boolean): Promise<void> {
    const of = session;
    if (!of || more.value === "loading") return;
    more.value = "loading";
    try {
      const known = history.entries.value;
      const page = await api.accountJobs(cursor);
      if (session === of) take(of, page, known);
    } catch (thrown) {
      if (session !== of) return;
      more.value = "there";
      if (says) notices.problem(asFailure(thrown));
    }
  }

  return {
    lines,
    more,
    async begin(current, loaded) {
      session = isThere(current) ? current : null;
      lines.value = [];
      cursor = null;
      more.value = "none";
      await loaded;
      if (session === current) await load(false);
    },
    loadMore: () => load(true),
    get: (jobId) => lines.value.find((line) => line.job_id === jobId),
    apply(job) {
      const of = session;
      if (of) lines.value = lines.value.map((line) => (line.job_id === job.job_id ? lineIn(of, job) : line));
    },
    drop(jobIds) {
      lines.value = lines.value.filter((line) => !jobIds.includes(line.job_id));
    },
  };
}
