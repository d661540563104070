// Large files that this tab has begun to send, kept in its sessionStorage: a reload takes the page's memory, and the server still has what has come of them. Who
// chooses such a file again sends the rest.
//
// It is the tab's own, so that no two tabs send one upload at once, and only what an earlier page of it has left is ever found: what this page sends it knows
// itself. No name is kept, but a hash of it.

import type { Environment } from "./environment";
import { ownerOf, type Session } from "./types";

const KEY = "decant.unfinished";
/** More than anybody sends at once; a day later the server has none of them. */
const MOST = 100;

interface Entry {
  whose: string;
  file: string;
  url: string;
}

export interface Unfinished {
  /** Where the server has what an earlier page has sent of it; null: nowhere. Told once: whoever asks goes on with it. */
  take(file: File): string | null;
  add(file: File, url: string): void;
  remove(url: string): void;
  clear(): void;
  /** From now on what is sent is theirs; what is another one's is forgotten. */
  belongsTo(session: Session): void;
}

/** FNV-1a, 32 bits: beside size and time it has to tell no more apart than the files of one folder. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const char of text) value = Math.imul(value ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return value >>> 0;
}

const signOf = ({ name, size, lastModified }: File) => `${size}.${lastModified}.${hash(name)}`;

/** An account's outlive its sessions. */
const whoseOf = (session: Session) => ownerOf(session) || session.created_at;

function isEntry(entry: unknown): entry is Entry {
  return typeof entry === "object" && entry !== null && ["whose", "file", "url"].every((name) => typeof entry[name as keyof typeof entry] === "string");
}

function read(env: Environment): Entry[] {
  try {
    const stored: unknown = JSON.parse(env.tabStorage?.getItem(KEY) ?? "[]");
    return Array.isArray(stored) ? stored.filter(isEntry) : [];
  } catch {
    return [];
  }
}

export function createUnfinished(env: Environment): Unfinished {
  let former = read(env);
  let mine: Entry[] = [];
  let whose = "";

  function save(): void {
    const all = [...former, ...mine].slice(-MOST);
    try {
      if (all.length > 0) env.tabStorage?.setItem(KEY, JSON.stringify(all));
      else env.tabStorage?.removeItem(KEY);
    } catch {
      /* it is full, or forbidden: a reload sends from the beginning */
    }
  }

  return {
    take(file) {
      const found = former.find((entry) => entry.file === signOf(file));
      if (!found) return null;
      former = former.filter((entry) => entry !== found);
      mine = [...mine, found];
      return found.url;
    },
    add(file, url) {
      if (mine.some((entry) => entry.url === url)) return;
      mine = [...mine, { whose, file: signOf(file), url }].slice(-MOST);
      save();
    },
    remove(url) {
      mine = mine.filter((entry) => entry.url !== url);
      save();
    },
    clear() {
      former = mine = [];
      save();
    },
    belongsTo(session) {
      whose = whoseOf(session);
      former = former.filter((entry) => entry.whose === whose);
      mine = mine.filter((entry) => entry.whose === whose);
      save();
    },
  };
}
