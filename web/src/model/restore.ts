// After a reload: the rows that were there, and what has become of their jobs meanwhile.

import type { Clock } from "./clock";
import { itemOf } from "./entries";
import type { History } from "./history";
import type { StoredEntry } from "./history-store";
import type { Items } from "./items";
import type { Jobs } from "./jobs";
import type { Session } from "./types";
import { createPool } from "./waiting";

const AT_ONCE = 4;

const isOver = (entry: StoredEntry, clock: Clock) => entry.lost || Date.parse(entry.expires_at) <= clock.now();

/** At once, by what the history says. */
export function restoreRows(items: Items, history: History, clock: Clock): void {
  const back: StoredEntry[] = [];
  for (const entry of history.entries.value) {
    if (!isOver(entry, clock)) back.unshift(entry); /* the oldest first */
    else if (entry.status === "uploaded") void history.forget(entry.job_id);
    else history.update(entry.job_id, { row: false });
  }
  items.add(back.filter((entry) => entry.row && !items.ofJob(entry.job_id)).map((entry) => itemOf(items.newKey(), entry)));
}

/** Then by what the server says, a few at once. What is of an earlier session needs no question, and its row no place. */
export async function reconcile(items: Items, history: History, jobs: Jobs, clock: Clock, session: Session): Promise<void> {
  const pool = createPool(AT_ONCE);
  const questions: Promise<void>[] = [];
  for (const { job_id, timestamp, lost, expires_at } of history.entries.value) {
    if (lost || Date.parse(expires_at) <= clock.now()) continue;
    if (Date.parse(timestamp) >= Date.parse(session.created_at)) {
      questions.push(pool.run(() => jobs.refresh(job_id)));
      continue;
    }
    const row = items.ofJob(job_id);
    if (row) items.remove(row.key);
    jobs.lose(job_id);
  }
  await Promise.all(questions);
}
