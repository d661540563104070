// What a person does with a row: choose, convert, cancel, try again, remove.
//
// POST /convert is tried until it is taken, four at a time: of two hundred files the server lets a hundred wait at once (429), and the others come after
// them. If the answer to a call is lost the next try gets a 409, and the job itself says what became of it.

import { batch } from "@preact/signals";
import type { Api, Queued } from "./api";
import { entryOf } from "./entries";
import type { Environment } from "./environment";
import { asFailure, stallOf, type Failure } from "./failure";
import { noRoom, type Held } from "./held";
import type { History } from "./history";
import { isEnded, isOpen, isRunning, newItem, type Items } from "./items";
import type { Jobs } from "./jobs";
import type { Catalogue } from "./model";
import { carriedOver, firstInvalid, toSend, withoutSecrets, withoutValue } from "./options";
import type { SessionKeeper } from "./session";
import type { HistoryEntry, Item, Options, OptionSpec, OptionValue, OwnCode, Phase, Problem, Uploaded } from "./types";
import type { Uploads } from "./uploads";
import { createPool, insist, type Insistence } from "./waiting";

const AT_ONCE = 4;
const TRIES = 10;
/** Files that become one, by the server's limit. */
const MERGED_MAX = 100;
/** Of a document that is protected. */
const PASSWORD = "password";
/** Whoever waits for a place in the queue waits for the conversions before it, however long these take. */
const queueTries = ({ status }: Failure) => (status === 429 ? Infinity : TRIES);

export interface Conversions {
  setTarget(key: string, target: string): void;
  setTargetForAll(target: string): void;
  setOption(key: string, name: string, value: OptionValue | null): void;
  convert(key: string): void;
  convertAll(): void;
  mergeAll(target: string): void;
  cancel(key: string): void;
  retry(key: string, options?: Options): void;
  remove(key: string): void;
  /** The row alone: of what it has on the server there is nothing any more. */
  drop(key: string): void;
  /** What is about to be asked for it, and may not be any more. */
  callOff(key: string): void;
  again(entry: HistoryEntry, target: string | null): void;
  againRow(key: string, target: string): void;
  /** Of an upload, or a copy. */
  uploaded(key: string, answer: Uploaded): void;
}

export interface ConversionsNeeds {
  env: Environment;
  api: Api;
  session: SessionKeeper;
  items: Items;
  history: History;
  jobs: Jobs;
  uploads: Uploads;
  held: Held;
  catalogue(): Catalogue | null;
}

export function createConversions({ env, api, session, items, history, jobs, uploads, held, catalogue }: ConversionsNeeds): Conversions {
  const pool = createPool(AT_ONCE);
  const starting = new Map<string, AbortController>();
  /** Rows that are copies of a job, and have none of their own yet. */
  const copies = new Map<string, { of: string }>();
  /** Rows whose options are others than their job has been given. */
  const edited = new Set<string>();

  const specsOf = (item: Item, target = item.target): OptionSpec[] => (item.format && target ? (catalogue()?.options(item.format, target) ?? []) : []);
  const reaches = (item: Item, target: string) => item.format !== null && (catalogue()?.reaches(item.format, target) ?? false);

  /** So that it is the same after a reload, and in other tabs. */
  function remember(item: Item | undefined): void {
    if (item?.jobId && item.phase === "ready")
      history.update(item.jobId, { target_format: item.target ?? "", options: withoutSecrets(catalogue(), item.options), secrets: item.secrets });
  }

  function insistently<T>(key: string, signal: AbortSignal, tries: Insistence["tries"], call: () => Promise<T>): Promise<T> {
    const how: Insistence = {
      signal,
      tries,
      stalled: (failure) => items.update(key, { stalled: stallOf(failure) }),
      reachable: session.reachable,
    };
    return pool.run(() => insist(env, call, how), signal);
  }

  function accepted(item: Item, jobId: string, answer: Queued): void {
    edited.delete(item.key);
    const now = items.get(item.key);
    const stored = history.get(jobId);
    const news = now === undefined || now.phase === "starting" ? ({ status: "queued" } as const) : {}; /* else events were faster */
    if (now?.phase === "starting") items.update(item.key, { phase: "queued", stalled: null, target: answer.target_format });
    items.update(item.key, { options: item.options, secrets: item.secrets }); /* those of a merge aren't the row's own */
    if (stored)
      history.put({
        ...stored,
        ...news,
        task_id: answer.task_id,
        target_format: answer.target_format,
        options: withoutSecrets(catalogue(), item.options),
        secrets: item.secrets,
        download_token: null,
        download_url: null,
        token_expires_at: null,
      });
  }

  async function notAccepted(key: string, jobId: string, before: Phase, failure: Failure): Promise<void> {
    if (failure.problem.code === "wrong_state") await jobs.refresh(jobId);
    else if (jobs.isGone(failure)) jobs.lose(jobId, failure.problem);
    if (items.get(key)?.phase === "starting") items.update(key, { phase: before, stalled: null, problem: failure.problem });
  }

  async function stop(key: string, jobId: string): Promise<void> {
    if (items.get(key)?.phase === "deleting") return; /* which stops it */
    jobs.stopping(key);
    items.update(key, { phase: "stopping", stalled: null });
    try {
      jobs.apply(await api.cancel(jobId)); /* it may take a moment until it has stopped: jobs.ts waits for that */
    } catch (thrown) {
      jobs.notStopping(key);
      await jobs.refresh(jobId);
      goesOn(key, asFailure(thrown));
    }
  }

  /** If it has ended in the meantime that says enough. */
  function goesOn(key: string, { problem }: Failure): void {
    const item = items.get(key);
    if (!item || (item.phase !== "stopping" && !isRunning(item.phase))) return;
    const known = item.job && isRunning(item.job.status) ? item.job.status : "queued";
    items.update(key, { phase: known, problem });
  }

  /** Before it was accepted, as far as is known: the answer may have been lost. */
  async function calledOff(before: Item, jobId: string): Promise<void> {
    const { key } = before;
    await jobs.refresh(jobId);
    const status = items.get(key)?.phase ?? history.get(jobId)?.status ?? "";
    if (isRunning(status)) await stop(key, jobId);
    else if (status === "starting") items.update(key, { phase: before.phase, problem: before.problem, stalled: null });
  }

  async function start(item: Item, jobId: string, call: () => Promise<Queued>): Promise<void> {
    const { key } = item;
    const control = new AbortController();
    starting.set(key, control);
    items.update(key, { phase: "starting", problem: null, stalled: null, wanted: false, progress: 0 });
    try {
      const answer = await insistently(key, control.signal, queueTries, call);
      if (answer.status === "completed") await jobs.refresh(jobId); /* else it is followed, as the others are */
      accepted(item, jobId, answer);
      if (control.signal.aborted) await stop(key, jobId);
    } catch (thrown) {
      if (control.signal.aborted) await calledOff(item, jobId);
      else await notAccepted(key, jobId, item.phase, asFailure(thrown));
    } finally {
      if (starting.get(key) === control) starting.delete(key);
    }
  }

  /** Why it can't be begun like that; `detail` names the option. */
  function objection({ options, secrets }: Item, specs: readonly OptionSpec[]): Problem | null {
    const [missing] = withoutValue(secrets, options);
    if (missing !== undefined) return { code: "secret_missing", detail: missing };
    const wrong = firstInvalid(specs, options);
    return wrong ? { code: "bad_option", detail: wrong.name, label: wrong.label } : null;
  }

  /** False, and a problem in the row, where its options can't be that. */
  function checkOptions(item: Item, specs: readonly OptionSpec[]): boolean {
    const problem = objection(item, specs);
    if (problem) items.update(item.key, { wanted: false, problem });
    return !problem;
  }

  function convertJobs(item: Item, jobIds: readonly string[], target: string, specs: readonly OptionSpec[]): void {
    const [first] = jobIds;
    if (first === undefined || !checkOptions(item, specs)) return;
    void start({ ...item, target }, first, () => api.convert(jobIds, target, toSend(specs, item.options)));
  }

  /** Parts can be opened by no password: what needs one has to be converted by itself before. */
  function mergeProblem(rows: readonly Item[], target: string): { key: string; code: OwnCode } | null {
    const [first] = rows;
    if (first && rows.length > MERGED_MAX) return { key: first.key, code: "too_many_to_merge" };
    const locked = rows.find((row) => target === "pdf" && row.secrets.includes(PASSWORD));
    return locked && rows.length > 1 ? { key: locked.key, code: "merge_locked" } : null;
  }

  /**
   * Options are about the whole: those that a PDF has which becomes `target`, of the first row. But a password that any of the rows was to have the result has,
   * too: rather one too many than none.
   */
  function merge(rows: readonly Item[], target: string): void {
    const [first] = rows;
    if (!first) return;
    const specs = (catalogue()?.options("pdf", target) ?? []).filter(({ name }) => name !== PASSWORD);
    const typed = rows.flatMap(({ secrets, options }) => Object.entries(options).filter(([name]) => secrets.includes(name)));
    const whole = carried({ options: { ...Object.fromEntries(typed.reverse()), ...first.options }, secrets: rows.flatMap(({ secrets }) => secrets) }, specs);
    convertJobs(
      { ...first, ...whole, secrets: [...new Set(whole.secrets)] },
      rows.flatMap(({ jobId }) => jobId ?? []),
      target,
      specs,
    );
  }

  function convert(key: string): void {
    const item = items.get(key);
    if (!item?.target) return;
    if (item.phase === "ready" && item.jobId) convertJobs(item, [item.jobId], item.target, specsOf(item));
    else if (item.phase === "waiting" || item.phase === "uploading") items.update(key, { wanted: true });
  }

  /** To another pair: what that has, too. */
  function carried({ options, secrets }: Pick<Item, "options" | "secrets">, specs: readonly OptionSpec[]): Pick<Item, "options" | "secrets"> {
    return { options: carriedOver(specs, options), secrets: secrets.filter((name) => specs.some((spec) => spec.name === name)) };
  }

  function setTarget(key: string, target: string): void {
    const item = items.get(key);
    if (!item || !isOpen(item.phase) || !reaches(item, target)) return;
    items.update(key, { target, ...carried(item, specsOf(item, target)), problem: null });
    remember(items.get(key));
  }

  async function copy(key: string, of: string): Promise<void> {
    const now = session.current.value;
    const problem = now ? noRoom(now.limits, held.amount(), items.get(key)?.size ?? 0) : null;
    if (problem) return items.update(key, { phase: "refused", problem, wanted: false });
    const control = new AbortController();
    starting.set(key, control);
    items.update(key, { phase: "starting", problem: null, stalled: null });
    try {
      const answer = await insistently(
        key,
        control.signal,
        () => TRIES,
        () => api.duplicate(of),
      );
      if (control.signal.aborted) items.update(key, { phase: "cancelled", stalled: null, wanted: false });
      else uploaded(key, answer);
    } catch (thrown) {
      const failure = asFailure(thrown);
      if (jobs.isGone(failure)) jobs.lose(of, failure.problem);
      const off = control.signal.aborted;
      items.update(key, { phase: off ? "cancelled" : "refused", problem: off ? null : failure.problem, stalled: null, wanted: false });
    } finally {
      if (starting.get(key) === control) starting.delete(key);
    }
  }

  function uploaded(key: string, answer: Uploaded): void {
    const item = items.get(key);
    const now = session.current.value;
    if (!item || !now) return;
    // The content may be of another format than the name, with other targets.
    const target = item.target && answer.targets.includes(item.target) ? item.target : null;
    const ready: Item = { ...item, jobId: answer.job_id, name: answer.original_filename, size: answer.size, format: answer.format, target };
    copies.delete(key);
    history.put(entryOf(ready, answer, now, catalogue()));
    items.update(key, { ...ready, phase: "ready", sent: answer.size, stalled: null, problem: null, wanted: false });
    if (item.wanted) convert(key);
  }

  function drop(key: string): void {
    items.remove(key);
    copies.delete(key);
    edited.delete(key);
    uploads.drop(key);
  }

  /** What the row has on the server goes on there, if nobody stops it. */
  function abandon(item: Item): void {
    const { key, jobId } = item;
    uploads.abort(key);
    if (starting.has(key)) starting.get(key)?.abort(); /* start() does the rest, when it knows whether there is something to stop */
    else if (jobId && isRunning(item.phase)) void stop(key, jobId);
  }

  /**
   * Options that nobody has changed aren't sent: the job has them, and the server objects where it had a password, too, which it keeps no longer than this
   * page. Then all of them have to be sent again.
   */
  function retryJob(item: Item, jobId: string): void {
    const specs = specsOf(item);
    if (!checkOptions(item, specs)) return;
    const options = edited.has(item.key) || item.secrets.length > 0 ? toSend(specs, item.options) : undefined;
    jobs.supersede(jobId, item.job?.task_id ?? history.get(jobId)?.task_id ?? null);
    void start(item, jobId, () => api.retry(jobId, options));
  }

  /** Values as given, and the names of all passwords that are wanted. */
  function setOptions(item: Item, options: Options): Item {
    const plain = withoutSecrets(catalogue(), options);
    const named = Object.keys(options).filter((name) => !(name in plain) && options[name] !== "");
    const change = { options, secrets: [...new Set([...item.secrets, ...named])] };
    edited.add(item.key);
    items.update(item.key, { ...change, ...(item.phase === "ready" ? { problem: null } : {}) }); /* which may have been the option */
    return { ...item, ...change };
  }

  function addCopy(of: string, about: Pick<Item, "name" | "size" | "format" | "options" | "secrets">, target: string | null): void {
    const key = items.newKey();
    const { name, size, format } = about;
    const row = newItem(key, { name, size, format, phase: "starting", sent: size });
    const fits = target !== null && reaches(row, target);
    copies.set(key, { of });
    items.add([{ ...row, ...carried(about, fits ? specsOf(row, target) : []), target: fits ? target : null, wanted: fits }]);
    void copy(key, of);
  }

  const canRetry = ({ phase, jobId }: Item) => phase === "cancelled" || phase === (jobId ? "failed" : "refused") || (jobId !== null && phase === "ready");

  return {
    setTarget,
    setTargetForAll(target) {
      batch(() => {
        for (const { key } of items.list.value) setTarget(key, target);
      });
    },
    setOption(key, name, value) {
      const item = items.get(key);
      if (!item || item.phase === "starting" || item.phase === "stopping" || isRunning(item.phase)) return;
      const { [name]: _old, ...others } = item.options;
      // Taken back by whoever empties it.
      const secrets = item.secrets.filter((secret) => secret !== name);
      remember(setOptions({ ...item, secrets }, value === null ? others : { ...others, [name]: value }));
    },
    convert,
    convertAll() {
      for (const { key } of items.list.value) convert(key);
    },
    mergeAll(target) {
      const all = items.list.value.filter(
        (item) => item.phase === "ready" && item.jobId && (target !== "pdf" || item.format === "pdf" || reaches(item, "pdf")),
      );
      const problem = mergeProblem(all, target);
      if (problem) items.update(problem.key, { problem: { code: problem.code, detail: "" } });
      else if (all.length > 1) merge(all, target);
    },
    cancel(key) {
      const item = items.get(key);
      if (!item) return;
      if (item.phase === "waiting" || item.phase === "uploading") items.update(key, { phase: "cancelled", stalled: null, wanted: false });
      abandon(item);
    },
    retry(key, options) {
      const row = items.get(key);
      if (!row || !canRetry(row)) return;
      const item = options ? setOptions(row, options) : row;
      const copied = copies.get(key);
      if (item.phase === "ready") return convert(key);
      if (item.jobId) return retryJob(item, item.jobId);
      if (copied) void copy(key, copied.of);
      else if (!uploads.again(key)) items.update(key, { problem: { code: "unreadable", detail: "" } }); /* it was sent by a page that is closed */
    },
    remove(key) {
      const item = items.get(key);
      if (!item) return;
      if (item.jobId) history.update(item.jobId, { row: false });
      drop(key);
      abandon(item);
    },
    drop,
    callOff: (key) => starting.get(key)?.abort(),
    again(entry, target) {
      addCopy(entry.job_id, { ...entry, name: entry.original_filename, format: entry.source_format }, target);
    },
    againRow(key, target) {
      const item = items.get(key);
      if (item?.jobId && isEnded(item.phase)) addCopy(item.jobId, item, target);
    },
    uploaded,
  };
}
