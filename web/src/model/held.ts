// What the server holds of this session, as far as this browser knows: by the history, which keeps whatever isn't deleted there, too.

import type { Clock } from "./clock";
import type { History } from "./history";
import type { StoredEntry } from "./history-store";
import type { Limits, Problem, Session } from "./types";

export interface Amount {
  files: number;
  bytes: number;
}

export interface Held {
  entries(): StoredEntry[];
  amount(): Amount;
}

/** Why the server would not take `size` bytes more; null: nothing against it. */
export function noRoom({ max_jobs, max_bytes }: Limits, { files, bytes }: Amount, size: number): Problem | null {
  if (files >= max_jobs) return { code: "too_many_files", detail: "" };
  return max_bytes > 0 && bytes + size > max_bytes ? { code: "storage_full", detail: "" } : null;
}

const amountOf = (entries: readonly StoredEntry[]): Amount => ({
  files: entries.length,
  bytes: entries.reduce((sum, { size, output }) => sum + size + (output?.size ?? 0), 0),
});

export function createHeld(session: () => Session | null, history: History, clock: Clock): Held {
  /** An account's files end each at its own time, and others may have been sent from elsewhere: then it is the least that it may be. */
  function isHeld({ lost, expires_at }: StoredEntry): boolean {
    const now = session();
    return !lost && (now?.account ? Date.parse(expires_at) > clock.now() : expires_at === now?.expires_at);
  }

  const entries = () => history.entries.value.filter(isHeld);

  return { entries, amount: () => amountOf(entries()) };
}
