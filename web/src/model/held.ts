// What the server holds of this session, as far as this browser knows: by the history, and by a count of what was taken out of that, as the server keeps
// these files all the same. The count is also in the browser's storage, for other tabs and after a reload.

import type { Environment } from "./environment";
import type { History } from "./history";
import type { StoredEntry } from "./history-store";
import type { Limits, Problem, Session } from "./types";

const KEY = "decant-forgotten";

export interface Amount {
  files: number;
  bytes: number;
}

interface Forgotten extends Amount {
  /** When the session ends: no two end at the same moment. */
  session: string;
}

export interface Held {
  entries(): StoredEntry[];
  amount(): Amount;
  /** These are about to leave the history. */
  forgetting(entries: readonly StoredEntry[]): void;
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

const plus = (a: Amount, b: Amount): Amount => ({ files: a.files + b.files, bytes: a.bytes + b.bytes });

export function createHeld(env: Environment, session: () => Session | null, history: History): Held {
  let memory: Forgotten = { session: "", files: 0, bytes: 0 };

  function stored(): Forgotten {
    try {
      return (JSON.parse(env.storage?.getItem(KEY) ?? "null") as Forgotten | null) ?? memory;
    } catch {
      return memory; /* written by something else */
    }
  }

  function forgotten(): Amount {
    const count = stored();
    return count.session === session()?.expires_at ? count : { files: 0, bytes: 0 };
  }

  const isHeld = (entry: StoredEntry) => !entry.lost && entry.expires_at === session()?.expires_at;
  const entries = () => history.entries.value.filter(isHeld);

  return {
    entries,
    amount: () => plus(amountOf(entries()), forgotten()),
    forgetting(gone) {
      const now = session();
      if (!now) return;
      memory = { session: now.expires_at, ...plus(forgotten(), amountOf(gone.filter(isHeld))) };
      try {
        env.storage?.setItem(KEY, JSON.stringify(memory));
      } catch {
        /* full: this tab knows it until a reload */
      }
    },
  };
}
