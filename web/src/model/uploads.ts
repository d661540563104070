// Files on their way to the server: at once when they are added, four at a time, again after a lost connection (a small file as a whole, of a large one what
// the server doesn't have, also after a reload), and not at all where the limits or the name say that it would be for nothing.

import { effect } from "@preact/signals";
import type { Api } from "./api";
import type { Clock } from "./clock";
import type { Environment } from "./environment";
import { asFailure, stallOf, type Failure } from "./failure";
import { noRoom, type Amount, type Held } from "./held";
import { isRunning, type Items } from "./items";
import type { Catalogue } from "./model";
import { send } from "./send";
import { begunAt, giveUp, LARGE, sendInPieces, type Begun } from "./send-pieces";
import type { SessionKeeper } from "./session";
import type { Problem, Session, Uploaded } from "./types";
import { createUnfinished } from "./unfinished";
import { createPool, insist } from "./waiting";

const AT_ONCE = 4;
const TRIES = 10;
/** After the answer that the session has ended, or is another one. */
const NEW_SESSIONS = 3;

export interface UploadsListener {
  uploaded(key: string, answer: Uploaded): void;
}

export interface Uploads {
  listener: UploadsListener;
  /** The row is there already, and waits. */
  add(key: string, file: File): void;
  /** Once more, where the file is still at hand; false where not. */
  again(key: string): boolean;
  abort(key: string): void;
  /** Also the file itself, which can't be sent again after this. */
  drop(key: string): void;
  dropAll(): void;
}

export interface UploadsNeeds {
  env: Environment;
  api: Api;
  clock: Clock;
  session: SessionKeeper;
  items: Items;
  catalogue(): Catalogue | null;
  /** When session and catalogue are there. */
  ready: Promise<void>;
  held: Held;
}

/** Why the server would not take it, in the server's code; null: nothing against it. */
export function refusal(file: Pick<File, "name" | "size">, session: Session, catalogue: Catalogue, held: Amount): Problem | null {
  const refused = (code: string): Problem => ({ code, detail: "" });
  if (catalogue.formatOf(file.name) === null) return refused("unsupported_type");
  if (file.size === 0) return refused("empty_file");
  if (file.size > session.limits.max_upload_bytes) return refused("too_large");
  return noRoom(session.limits, held, file.size);
}

export function createUploads({ env, api, clock, session, items, catalogue, ready, held }: UploadsNeeds): Uploads {
  const files = new Map<string, File>();
  const running = new Map<string, AbortController>();
  /** Of large files, also of those that have failed: who tries again goes on. */
  const parts = new Map<string, Begun>();
  const unfinished = createUnfinished(env);
  const pool = createPool(AT_ONCE);

  effect(() => {
    if (session.current.value) unfinished.belongsTo(session.current.value);
  });

  /** How many are there, and on their way before this one. */
  function heldBefore(key: string): Amount {
    const list = items.list.value;
    const at = list.findIndex((item) => item.key === key);
    const before = list.slice(0, at).filter((item) => !item.jobId && (item.phase === "waiting" || item.phase === "uploading"));
    const { files, bytes } = held.amount();
    return { files: files + before.length, bytes: before.reduce((sum, { size }) => sum + size, bytes) };
  }

  function refuse(key: string, problem: Problem): void {
    items.update(key, { phase: "refused", problem, stalled: null, wanted: false, sent: 0 });
  }

  /** The likeliest target stands there from the start: most people want that one, and press one button. */
  function suggest(key: string, known: Catalogue, format: string | null): void {
    const likeliest = format ? known.targets([format], "")[0]?.targets[0]?.id : undefined;
    items.update(key, { format, target: items.get(key)?.target ?? likeliest ?? null });
  }

  /** False: refused. True also while it can't be known yet. */
  function check(key: string, file: File): boolean {
    const now = session.current.value;
    const known = catalogue();
    const problem = now && known ? refusal(file, now, known, heldBefore(key)) : null;
    if (problem) refuse(key, problem);
    else if (known) suggest(key, known, known.formatOf(file.name));
    return !problem;
  }

  function attempt(key: string, file: File, state: Begun, signal: AbortSignal): Promise<Uploaded> {
    const progress = (sent: number) => {
      if (!signal.aborted) items.update(key, { sent, stalled: null });
    };
    items.update(key, { phase: "uploading", sent: state.accepted });
    if (file.size < LARGE) return send(env, api, clock, file, { signal, progress });
    const before = state.url;
    const found = (url: string) => {
      if (signal.aborted) return;
      if (before !== null && before !== url) unfinished.remove(before);
      unfinished.add(file, url);
    };
    return sendInPieces(env, api, clock, file, state, { signal, progress, found });
  }

  function persist(key: string, file: File, state: Begun, signal: AbortSignal): Promise<Uploaded> {
    let before = state.accepted;
    return insist(env, () => attempt(key, file, state, signal), {
      signal,
      tries: () => TRIES,
      advanced() {
        const further = state.accepted > before;
        before = state.accepted;
        return further;
      },
      stalled: (failure) => items.update(key, { stalled: stallOf(failure) }),
      reachable: session.reachable,
    });
  }

  /** A session that ends in the midst of it is no reason to give up: the file is here. */
  async function throughSessions(key: string, file: File, state: Begun, signal: AbortSignal): Promise<Uploaded> {
    for (let left = NEW_SESSIONS; ; left--) {
      try {
        return await persist(key, file, state, signal);
      } catch (thrown) {
        const { code } = asFailure(thrown).problem;
        if ((code !== "session_required" && code !== "csrf_invalid") || left === 0 || signal.aborted) throw thrown;
        await session.renew();
      }
    }
  }

  function end(key: string, { url }: Begun): void {
    parts.delete(key);
    if (url !== null) unfinished.remove(url);
  }

  function failed(key: string, failure: Failure, signal: AbortSignal): void {
    if (!signal.aborted) refuse(key, failure.problem);
  }

  async function upload(key: string, file: File, signal: AbortSignal): Promise<void> {
    if (signal.aborted || !check(key, file)) return;
    const state = parts.get(key) ?? begunAt(unfinished.take(file));
    parts.set(key, state);
    try {
      const answer = await throughSessions(key, file, state, signal);
      end(key, state);
      if (!signal.aborted) uploads.listener.uploaded(key, answer);
    } catch (thrown) {
      failed(key, asFailure(thrown), signal);
    }
  }

  function begin(key: string, file: File): void {
    const control = new AbortController();
    if (!check(key, file)) return;
    running.set(key, control);
    void pool
      .run(async () => {
        await ready;
        await upload(key, file, control.signal);
      }, control.signal)
      .catch(() => undefined) /* called off before its turn: upload() itself never throws */
      .finally(() => {
        if (running.get(key) === control) running.delete(key);
      });
  }

  function stop(key: string): void {
    running.get(key)?.abort();
    running.delete(key);
  }

  function abort(key: string): void {
    const state = parts.get(key);
    stop(key);
    if (!state) return;
    end(key, state);
    giveUp(api, state);
  }

  const uploads: Uploads = {
    listener: { uploaded: () => undefined },
    add(key, file) {
      files.set(key, file);
      begin(key, file);
    },
    again(key) {
      const file = files.get(key);
      const item = items.get(key);
      if (!file || !item || running.has(key) || isRunning(item.phase)) return false;
      items.update(key, { phase: "waiting", problem: null, stalled: null, sent: 0, progress: 0, jobId: null, job: null });
      begin(key, file);
      return true;
    },
    abort,
    drop(key) {
      abort(key);
      files.delete(key);
    },
    dropAll() {
      for (const key of [...running.keys()]) stop(key);
      parts.clear();
      files.clear();
      unfinished.clear();
    },
  };
  return uploads;
}
