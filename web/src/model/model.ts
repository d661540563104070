// What the page can do and what it knows: the one interface between `ui/` and everything else. Values are signals; actions never throw, what went wrong is
// in a row, in `notice`, or in `connection`.

import type { ReadonlySignal } from "@preact/signals";
import type { More } from "./account-history";
import type { Formats, HistoryEntry, Item, OptionSpec, Options, OptionValue, Problem, Session } from "./types";

export interface TargetGroup {
  /** Of the target format: "document", "image", …; "likely" for the first group. */
  category: string;
  targets: { id: string; label: string }[];
}

export interface Catalogue {
  readonly formats: Formats;
  /** The format that a name says by its (longest) extension; null: none that is taken. */
  formatOf(filename: string): string | null;
  label(format: string): string;
  /** What at least one file of these formats can become: the likeliest of most first, then by category. `query` finds ids, labels and extensions; "" is all. */
  targets(formats: readonly string[], query: string): TargetGroup[];
  /** Can all of these formats become `target`? */
  reaches(format: string, target: string): boolean;
  /** Options for that pair, in the server's order, each name once. */
  options(format: string, target: string): OptionSpec[];
}

/** What a person should be told once, until it is dismissed. */
export interface Notice {
  kind: "info" | "problem";
  /** A key of text/, such as "session_ends_soon", "session_ended", "deleted_everything"; or of a problem's code. */
  text: string;
  problem: Problem | null;
  values: Record<string, string | number>;
}

export interface Model {
  /** null until the server has answered. */
  readonly session: ReadonlySignal<Session | null>;
  readonly catalogue: ReadonlySignal<Catalogue | null>;
  /** "starting" before the first answer; "lost" while the server can't be reached. */
  readonly connection: ReadonlySignal<"starting" | "up" | "lost">;
  readonly items: ReadonlySignal<readonly Item[]>;
  /** The newest first; what is a row at present is in it, too. Of who is signed in, also what others have sent, as far as it has been loaded. */
  readonly history: ReadonlySignal<readonly HistoryEntry[]>;
  /** This browser keeps it; false: it is gone with the page, and so are the rows. */
  readonly historyKept: ReadonlySignal<boolean>;
  /** Is there more of it on the server? */
  readonly historyMore: ReadonlySignal<More>;
  readonly notices: ReadonlySignal<readonly Notice[]>;
  /** How many rows are under way (uploads and conversions), and their mean percent. */
  readonly overall: ReadonlySignal<{ running: number; percent: number }>;
  /** The server's time in milliseconds since 1970, by the minute. */
  readonly now: ReadonlySignal<number>;
  /** Desktop notifications: asked for and allowed. */
  readonly notifies: ReadonlySignal<boolean>;

  start(): Promise<void>;
  add(files: readonly File[]): void;

  setTarget(key: string, target: string): void;
  /** For each row that isn't converted yet and can become it. */
  setTargetForAll(target: string): void;
  setOption(key: string, name: string, value: OptionValue | null): void;
  /** Starts it now, or as soon as its upload has ended. */
  convert(key: string): void;
  convertAll(): void;
  /** All ready PDFs and what becomes one, in the order of the rows, into one `target` ("pdf", "zip"): the result is the first row's. */
  mergeAll(target: string): void;
  cancel(key: string): void;
  /** A failed upload is sent again; a failed or cancelled conversion runs again, with `options` (a password, …) in place of its own. */
  retry(key: string, options?: Options): void;
  /** Takes the row away; what is under way is cancelled first. The history keeps it, and the server its files. */
  remove(key: string): void;
  /** Deletes it on the server, and then the row and its line in the history. */
  delete(key: string): Promise<void>;
  /** A fresh link (the one there is if it lives long enough); null: see the row's problem. */
  downloadLink(jobId: string): Promise<string | null>;
  /** One ZIP (of a hundred at most: then several) of all results among the rows, or of these. */
  downloadAll(jobIds?: readonly string[]): Promise<void>;
  download(jobId: string): Promise<void>;
  /** At most `bytes` of a result that is text; null: it can't be had. */
  resultText(jobId: string, bytes: number): Promise<string | null>;
  previewUrl(jobId: string, size: number): string;

  /** The same file once more, from the copy that the server has: a new row, with this target ("convert again") or none yet. */
  again(entry: HistoryEntry, target: string | null): void;
  /** The same for a row that has a job (completed, failed, cancelled), with its options: converted at once. */
  againRow(key: string, target: string): void;
  /** Deletes it on the server, where that still has it, and then from the history. */
  forget(jobId: string): Promise<void>;
  /** The same for all of the history but what is a row. What can't be deleted stays, with a notice. */
  forgetAll(): Promise<void>;
  showMoreHistory(): Promise<void>;
  /** Without an account: the session, and the history with it. With one: all files that the account has or, of the plan free, that this browser knows. */
  deleteEverything(): Promise<void>;

  /** The page becomes the account's: what it had without one is deleted. Else the answer is why not. */
  signIn(name: string, password: string): Promise<Problem | null>;
  /** The account keeps its files. */
  signOut(): Promise<void>;

  setNotifies(on: boolean): Promise<void>;
  dismiss(notice: Notice): void;
}
