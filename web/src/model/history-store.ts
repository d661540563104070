// Where the history is kept: IndexedDB, or memory where a browser has none (private windows of some) or it fails.

import { openDB, type DBSchema, type IDBPDatabase } from "idb";
import type { HistoryEntry } from "./types";

/** What is kept of a conversion besides what is shown of it. */
export interface StoredEntry extends HistoryEntry {
  /** Whose it is: an account's id, "" nobody's. */
  account: string;
  /** It is a row of the page: comes back after a reload. */
  row: boolean;
  /** Of that row, as Item has it. */
  place: number;
  /** Of `download_token`: it may lie on another origin. */
  download_url: string | null;
  /** Changes when the job runs again; null before it runs. */
  task_id: string | null;
}

export interface HistoryStore {
  /** It outlives the page. */
  readonly keeps: boolean;
  of(account: string): Promise<StoredEntry[]>;
  put(entries: readonly StoredEntry[]): Promise<void>;
  remove(jobIds: readonly string[]): Promise<void>;
  /** Of all accounts that it is to go for; "" is nobody's. */
  clear(goes: (account: string) => boolean): Promise<void>;
  close(): void;
}

interface Schema extends DBSchema {
  history: { key: string; value: StoredEntry; indexes: { timestamp: string } };
}

const NAME = "decant";
const VERSION = 1;

/** From whichever version a browser has to the present one; each step is one `if`, and none is ever changed. */
function upgrade(database: IDBPDatabase<Schema>, from: number): void {
  if (from < 1) database.createObjectStore("history", { keyPath: "job_id" }).createIndex("timestamp", "timestamp");
}

/** What was written by another version of this page may lack what came later. */
function complete(entry: Partial<StoredEntry> & Pick<StoredEntry, "job_id">): StoredEntry {
  return {
    original_filename: "",
    target_format: "",
    download_token: null,
    status: "failed",
    timestamp: "1970-01-01T00:00:00Z",
    source_format: "",
    size: 0,
    output: null,
    error_code: null,
    error_message: null,
    options: {},
    secrets: [],
    expires_at: entry.timestamp ?? "1970-01-01T00:00:00Z",
    token_expires_at: null,
    lost: false,
    account: "",
    row: false,
    place: Date.parse(entry.timestamp ?? "1970-01-01T00:00:00Z"),
    download_url: null,
    task_id: null,
    ...entry,
  };
}

async function openIndexedDb(): Promise<HistoryStore> {
  const database = await openDB<Schema>(NAME, VERSION, {
    upgrade,
    // A newer page in another tab wants to change the database: it goes first.
    blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
  });

  async function all(): Promise<StoredEntry[]> {
    return (await database.getAllFromIndex("history", "timestamp")).map(complete);
  }

  async function remove(jobIds: readonly string[]): Promise<void> {
    const change = database.transaction("history", "readwrite");
    await Promise.all([...jobIds.map((id) => change.store.delete(id)), change.done]);
  }

  return {
    keeps: true,
    of: async (account) => (await all()).filter((entry) => entry.account === account),
    async put(entries) {
      const change = database.transaction("history", "readwrite");
      await Promise.all([...entries.map((entry) => change.store.put(entry)), change.done]);
    },
    remove,
    async clear(goes) {
      await remove((await all()).filter(({ account }) => goes(account)).map(({ job_id }) => job_id));
    },
    close: () => database.close(),
  };
}

/** Keeps nothing: the history in memory is all that there is. */
function nowhere(): HistoryStore {
  const done = () => Promise.resolve();
  return { keeps: false, of: () => Promise.resolve([]), put: done, remove: done, clear: done, close: () => undefined };
}

export async function openHistoryStore(): Promise<HistoryStore> {
  try {
    return await openIndexedDb();
  } catch {
    return nowhere();
  }
}
