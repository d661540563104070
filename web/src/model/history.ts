// What was converted, in this browser: the newest 500. The list is in memory and is what the page looks at; each change goes to IndexedDB and to the other
// tabs behind it. What is uploaded and not converted yet is kept, too, so that its row comes back, but isn't shown as history.
//
// No password ever gets here: options are stored without them (options.ts).

import { computed, signal, type ReadonlySignal } from "@preact/signals";
import { openHistoryStore, type HistoryStore, type StoredEntry } from "./history-store";
import type { Tabs } from "./tabs";
import type { HistoryEntry } from "./types";

const KEPT = 500;

export interface History {
  /** All that is kept, the newest first. */
  readonly entries: ReadonlySignal<readonly StoredEntry[]>;
  /** Of these what has been converted, or is to be. */
  readonly shown: ReadonlySignal<readonly HistoryEntry[]>;
  load(): Promise<void>;
  get(jobId: string): StoredEntry | undefined;
  /** Adds it, or takes the place of the one there is. */
  put(entry: StoredEntry): void;
  /** Nothing where it isn't there (it was cleared), or where nothing changes. */
  update(jobId: string, change: Partial<StoredEntry>): void;
  forget(jobId: string): Promise<void>;
  forgetAll(): Promise<void>;
  /** What another tab has written already. */
  took(entry: StoredEntry): void;
  forgotten(jobId: string | null): void;
}

/** RFC 3339 in UTC with a fraction or none: as texts they aren't in order. */
const newestFirst = (a: StoredEntry, b: StoredEntry) => Date.parse(b.timestamp) - Date.parse(a.timestamp);

function changes(entry: StoredEntry, change: Partial<StoredEntry>): boolean {
  return Object.entries(change).some(([name, value]) => JSON.stringify(entry[name as keyof StoredEntry]) !== JSON.stringify(value));
}

export function createHistory(tabs: Tabs): History {
  const entries = signal<readonly StoredEntry[]>([]);
  let store: HistoryStore | null = null;
  // One write after the other, so that the last one is what stays.
  let writes: Promise<void> = Promise.resolve();

  function write(change: (store: HistoryStore) => Promise<void>): Promise<void> {
    // A full disk must not stop the page: it forgets this at the next reload.
    writes = writes.then(async () => (store ? change(store).catch(() => undefined) : undefined));
    return writes;
  }

  const others = (jobId: string) => entries.value.filter((entry) => entry.job_id !== jobId);

  function keep(entry: StoredEntry): void {
    entries.value = [...others(entry.job_id), entry].sort(newestFirst);
  }

  /** The oldest go, but no rows. */
  function prune(): void {
    const old = new Set(
      entries.value
        .slice(KEPT)
        .filter((entry) => !entry.row)
        .map((entry) => entry.job_id),
    );
    if (old.size === 0) return;
    entries.value = entries.value.filter((entry) => !old.has(entry.job_id));
    void write((to) => to.remove([...old]));
  }

  function put(entry: StoredEntry): void {
    keep(entry);
    void write((to) => to.put([entry]));
    tabs.tell({ type: "put", entry });
    prune();
  }

  const get = (jobId: string) => entries.value.find((entry) => entry.job_id === jobId);

  return {
    entries,
    shown: computed(() => entries.value.filter((entry) => entry.status !== "uploaded")),
    async load() {
      store = await openHistoryStore();
      const stored = await store.all().catch(() => []);
      const known = new Set(entries.value.map((entry) => entry.job_id));
      entries.value = [...entries.value, ...stored.filter((entry) => !known.has(entry.job_id))].sort(newestFirst);
      prune();
    },
    get,
    put,
    update(jobId, change) {
      const entry = get(jobId);
      if (entry && changes(entry, change)) put({ ...entry, ...change });
    },
    forget(jobId) {
      entries.value = others(jobId);
      tabs.tell({ type: "forget", jobId });
      return write((to) => to.remove([jobId]));
    },
    forgetAll() {
      entries.value = [];
      tabs.tell({ type: "forget", jobId: null });
      return write((to) => to.clear());
    },
    took: keep,
    forgotten(jobId) {
      entries.value = jobId === null ? [] : others(jobId);
    },
  };
}
