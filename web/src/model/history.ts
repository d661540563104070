// What was converted, in this browser: the newest 500. The list is in memory and is what the page looks at; each change goes to IndexedDB and to the other
// tabs behind it. What is uploaded and not converted yet is kept, too, so that its row comes back, but isn't shown as history.
//
// It is that of whoever is signed in. What is nobody's stays in the database meanwhile, and is neither shown nor changed; of an account nothing stays when it
// isn't signed in any more.
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
  /** It outlives the page; false as soon as it is known that this browser keeps nothing. */
  readonly kept: ReadonlySignal<boolean>;
  /** Whose it is: an account's id, "" nobody's. */
  readonly account: string;
  /** Of whoever that is from now on. False: it has become another one's in the meantime. */
  load(account: string): Promise<boolean>;
  get(jobId: string): StoredEntry | undefined;
  /** Adds it, or takes the place of the one there is. */
  put(entry: StoredEntry): void;
  /** Nothing where it isn't there (it was cleared), or where nothing changes. */
  update(jobId: string, change: Partial<StoredEntry>): void;
  forget(jobId: string): Promise<void>;
  /** The same for what is no longer on the server: other tabs take its rows away, too. */
  deleted(jobIds: readonly string[]): Promise<void>;
  /** All of that one; other tabs are told when the session is closed. */
  clear(): Promise<void>;
  /** What the database has of accounts that aren't signed in (any more). */
  clearOthers(): Promise<void>;
  /** What another tab has written already. */
  took(entry: StoredEntry): void;
  forgotten(jobIds: readonly string[]): void;
}

/** RFC 3339 in UTC with a fraction or none: as texts they aren't in order. */
const newestFirst = (a: StoredEntry, b: StoredEntry) => Date.parse(b.timestamp) - Date.parse(a.timestamp);

function changes(entry: StoredEntry, change: Partial<StoredEntry>): boolean {
  return Object.entries(change).some(([name, value]) => JSON.stringify(entry[name as keyof StoredEntry]) !== JSON.stringify(value));
}

export function createHistory(tabs: Tabs): History {
  const entries = signal<readonly StoredEntry[]>([]);
  let owner = "";
  const kept = signal(true);
  const opened = openHistoryStore().then((store) => {
    kept.value = store.keeps;
    return store;
  });
  // One write after the other, so that the last one is what stays.
  let writes: Promise<void> = Promise.resolve();

  function write(change: (store: HistoryStore) => Promise<void>): Promise<void> {
    // A full disk must not stop the page: it forgets this at the next reload.
    writes = writes.then(async () => change(await opened)).catch(() => undefined);
    return writes;
  }

  const without = (jobIds: readonly string[]) => entries.value.filter((entry) => !jobIds.includes(entry.job_id));

  function keep(entry: StoredEntry): void {
    const at = entries.value.findIndex(({ job_id }) => job_id === entry.job_id);
    if (entries.value[at]?.timestamp === entry.timestamp) entries.value = [...entries.value.slice(0, at), entry, ...entries.value.slice(at + 1)];
    else entries.value = [...without([entry.job_id]), entry].sort(newestFirst);
  }

  function forget(jobIds: readonly string[], type: "forget" | "deleted" = "forget"): Promise<void> {
    entries.value = without(jobIds);
    tabs.tell({ type, jobIds });
    return write((to) => to.remove(jobIds));
  }

  /** The oldest go, but no rows. */
  function prune(): void {
    const old = entries.value
      .slice(KEPT)
      .filter((entry) => !entry.row)
      .map((entry) => entry.job_id);
    if (old.length > 0) void forget(old);
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
    kept,
    get account() {
      return owner;
    },
    async load(account) {
      if (owner !== account) entries.value = [];
      owner = account;
      await writes; /* of this tab, while it was another one's */
      const stored = await (await opened).of(account).catch(() => []);
      if (owner !== account) return false;
      const known = new Set(entries.value.map((entry) => entry.job_id));
      entries.value = [...entries.value, ...stored.filter((entry) => !known.has(entry.job_id))].sort(newestFirst);
      prune();
      return true;
    },
    get,
    put,
    update(jobId, change) {
      const entry = get(jobId);
      if (entry && changes(entry, change)) put({ ...entry, ...change });
    },
    forget: (jobId) => forget([jobId]),
    deleted: (jobIds) => forget(jobIds, "deleted"),
    clear() {
      entries.value = [];
      const account = owner;
      return write((to) => to.clear((of) => of === account));
    },
    clearOthers() {
      const account = owner;
      return write((to) => to.clear((of) => of !== "" && of !== account));
    },
    took(entry) {
      if (entry.account === owner) keep(entry);
    },
    forgotten(jobIds) {
      entries.value = without(jobIds);
    },
  };
}
