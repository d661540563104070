// After a reload: the rows that were there, and what has become of their jobs meanwhile.

import type { Clock } from "./clock";
import { itemOf } from "./entries";
import type { History } from "./history";
import type { StoredEntry } from "./history-store";
import { isEnded, isRunning, type Items } from "./items";
import type { Jobs } from "./jobs";
import type { Session } from "./types";
import { createPool } from "./waiting";

const AT_ONCE = 4;

const isOver = (entry: StoredEntry, clock: Clock) => entry.lost || Date.parse(entry.expires_at) <= clock.now();

/** By what the history says; until the server has told the time, by the computer's clock. */
export function restoreRows(items: Items, history: History, clock: Clock): void {
  const rows = history.entries.value.filter((entry) => entry.row && !isOver(entry, clock) && !items.ofJob(entry.job_id));
  items.add(rows.reverse().map((entry) => itemOf(items.newKey(), entry))); /* the oldest first */
}

/** Is no row any more, and nothing that runs; what was never converted is nothing any more. */
function endEntry(entry: StoredEntry, items: Items, history: History): void {
  const row = items.ofJob(entry.job_id);
  if (row) items.remove(row.key);
  if (entry.status === "uploaded") void history.forget(entry.job_id);
  else if (isRunning(entry.status)) history.update(entry.job_id, { row: false, status: "failed", error_code: "session_required" });
  else history.update(entry.job_id, { row: false });
}

/** An account's outlive sessions: what has ended and is no row can wait until somebody wants something of it. */
function isAsked(entry: StoredEntry, session: Session): boolean {
  return session.account ? entry.row || !isEnded(entry.status) : Date.parse(entry.timestamp) >= Date.parse(session.created_at);
}

/** Then by what the server says, a few questions at once. What is of an earlier session needs none. */
export async function reconcile(items: Items, history: History, jobs: Jobs, clock: Clock, session: Session): Promise<void> {
  const pool = createPool(AT_ONCE);
  const questions: Promise<void>[] = [];
  restoreRows(items, history, clock);
  for (const entry of history.entries.value) {
    if (isOver(entry, clock)) {
      endEntry(entry, items, history);
    } else if (isAsked(entry, session)) {
      questions.push(pool.run(() => jobs.refresh(entry.job_id)));
    } else if (!session.account) {
      endEntry(entry, items, history);
      jobs.lose(entry.job_id);
    }
  }
  await Promise.all(questions);
}
