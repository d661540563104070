// What the server says of jobs, from wherever it comes (an event, a poll, an answer), goes into rows and history here. These ways overtake one another: what
// is older than what is known is left out.

import type { Api } from "./api";
import type { Clock } from "./clock";
import { changeBy, kept } from "./entries";
import { asFailure, type Failure } from "./failure";
import type { History } from "./history";
import type { StoredEntry } from "./history-store";
import { isEnded, isRunning, type Items } from "./items";
import type { Item, Job, Phase, Problem } from "./types";

const GONE: Problem = { code: "session_required", detail: "" };

export interface Jobs {
  /** It is being cancelled, and its phase `stopping` until it has ended. */
  stopping(key: string): void;
  /** It goes on. */
  notStopping(key: string): void;
  /** The task will be followed by another one for the same job: nothing that is said of it counts any more. */
  supersede(jobId: string, taskId: string | null): void;
  apply(job: Job): void;
  /** Asks the server; never rejects. */
  refresh(jobId: string): Promise<void>;
  /** The server doesn't have it any more. */
  lose(jobId: string, problem?: Problem): void;
  /** Is this why the job is to be lost? */
  isGone(failure: Failure): boolean;
}

export function createJobs(api: Api, items: Items, history: History, clock: Clock): Jobs {
  const stopping = new Set<string>();
  const superseded = new Map<string, string | null>();

  function isStale(item: Item | undefined, job: Job): boolean {
    if (superseded.has(job.job_id) && superseded.get(job.job_id) === job.task_id) return true;
    // No job goes back to that.
    if (job.status === "uploaded") return item !== undefined && item.phase !== "ready";
    if (isEnded(job.status)) return false;
    const entry = history.get(job.job_id);
    const [status, taskId] = item ? [item.phase, item.job?.task_id] : [entry?.status, entry?.task_id];
    return status !== undefined && isEnded(status) && taskId === job.task_id;
  }

  function phaseOf(item: Item, job: Job): Phase {
    if (item.phase === "deleting") return "deleting"; /* until that has ended, one way or the other */
    if (job.status === "uploaded") return "ready";
    return stopping.has(item.key) && !isEnded(job.status) ? "stopping" : job.status;
  }

  function apply(job: Job): void {
    const item = items.ofJob(job.job_id);
    if (isStale(item, job)) return;
    history.update(job.job_id, kept(job));
    if (item && isEnded(job.status)) stopping.delete(item.key); /* a cancelled job says so only when it has stopped */
    if (item) items.update(item.key, changeBy(item, job, phaseOf(item, job)));
  }

  function loseEntry(entry: StoredEntry, problem: Problem): void {
    if (entry.status === "uploaded") return void history.forget(entry.job_id); /* there is nothing to tell of it */
    history.update(entry.job_id, {
      lost: Date.parse(entry.expires_at) > clock.now(),
      row: false,
      download_token: null,
      download_url: null,
      ...(isRunning(entry.status) ? { status: "failed", error_code: problem.code } : {}),
    });
  }

  function lose(jobId: string, problem = GONE): void {
    const item = items.ofJob(jobId);
    const entry = history.get(jobId);
    if (entry) loseEntry(entry, problem);
    if (item) items.update(item.key, { phase: "refused", problem, jobId: null, job: null, stalled: null, wanted: false, progress: 0 });
  }

  const isGone = ({ problem }: Failure) => problem.code === "session_required" || problem.code === "job_not_found";

  return {
    stopping: (key) => stopping.add(key),
    notStopping: (key) => stopping.delete(key),
    supersede(jobId, taskId) {
      superseded.set(jobId, taskId);
    },
    apply,
    async refresh(jobId) {
      try {
        apply(await api.status(jobId));
      } catch (thrown) {
        const failure = asFailure(thrown);
        if (isGone(failure)) lose(jobId, failure.problem);
      }
    },
    lose,
    isGone,
  };
}
