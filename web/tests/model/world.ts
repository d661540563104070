// A browser and a server for the model, all of it in the test's hands: requests are answered at once by a small server that keeps jobs, uploads wait for the
// test to move them, streams for it to speak.

import "fake-indexeddb/auto";
import { File } from "node:buffer"; // no global one in Node 18
import { IDBFactory } from "fake-indexeddb";
import type { HttpRequest, HttpResponse, UploadOptions } from "tus-js-client";
import { openDB } from "idb";
import { vi } from "vitest";
import { createModel } from "../../src/model/create";
import type { Environment } from "../../src/model/environment";
import type { StoredEntry } from "../../src/model/history-store";
import type { Model } from "../../src/model/model";
import type { Job, Session, Uploaded } from "../../src/model/types";
import { FORMATS } from "./formats";

export const START = Date.parse("2026-11-29T12:00:00.000Z");
export const DAY_S = 86_400;
const MIB = 1_048_576;

export interface Call {
  method: string;
  path: string;
  body: Record<string, unknown>;
  csrf: string | null;
  authorization: string | null;
}

export interface Person {
  id: string;
  name: string;
  password: string;
  plan: "free" | "premium";
}

/** What a test says to a request in place of the server; undefined: the server answers. */
export type Answer = Response | "lost" | undefined;

export function problem(status: number, code: string, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify({ type: "about:blank", status, code, detail: `says ${code}` }), { status, headers });
}

const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status });

export class Server {
  session: Session | null = null;
  /** By name; whoever is there, there are logins. */
  readonly people = new Map<string, Person>();
  /** What the browser's cookie for that is good for: the person's name. */
  login: string | null = null;
  private readonly spaces = new Map<string, Map<string, Job>>();
  readonly calls: Call[] = [];
  /** Looked at before each answer. */
  answer: (call: Call) => Answer | Promise<Answer> = () => undefined;
  maxJobs = 200;
  maxBytes = 0;
  maxUpload = MIB;
  /** Uploads in pieces that are complete, by id. */
  readonly sent = new Map<string, Uploaded>();
  /** Its clock before the computer's. */
  aheadMs = 0;
  private names = 0;

  time(afterSeconds = 0): string {
    return new Date(Date.now() + this.aheadMs + afterSeconds * 1000).toISOString();
  }

  /** Of the session: its own, or its account's. */
  get jobs(): Map<string, Job> {
    return this.jobsOf(this.session?.account?.id ?? "");
  }

  jobsOf(account: string): Map<string, Job> {
    const jobs = this.spaces.get(account) ?? new Map<string, Job>();
    this.spaces.set(account, jobs);
    return jobs;
  }

  person(name: string, plan: Person["plan"] = "premium"): Person {
    const person: Person = { id: `id-of-${name}`, name, password: `${name}'s password`, plan };
    this.people.set(name, person);
    return person;
  }

  init(person: Person | null = null): Session {
    if (person && this.session?.account?.id !== person.id) this.session = null;
    this.session ??= {
      plan: person?.plan ?? "free",
      account: person && { id: person.id, name: person.name, retention_seconds: 30 * DAY_S },
      logins: { password: this.people.size > 0, oidc: false },
      csrf_token: `csrf-${++this.names}`,
      created_at: this.time(),
      expires_at: this.time(DAY_S),
      limits: { max_upload_bytes: this.maxUpload, max_jobs: this.maxJobs, max_bytes: this.maxBytes, session_seconds: DAY_S, download_token_seconds: 600 },
    };
    return this.session;
  }

  /** As if its 24 hours were over, or it was closed. */
  endSession(): void {
    if (!this.session?.account) this.jobs.clear();
    this.session = null;
  }

  upload(filename: string, size: number): Uploaded {
    const format = filename.slice(filename.lastIndexOf(".") + 1);
    const job: Job = {
      job_id: `job-${++this.names}`,
      task_id: null,
      original_filename: filename,
      source_format: format,
      mime_type: "",
      size,
      target_format: null,
      status: "uploaded",
      progress: 0,
      created_at: this.time(),
      completed_at: null,
      error_code: null,
      error_message: null,
      output: null,
    };
    this.jobs.set(job.job_id, job);
    const targets = FORMATS.formats[format]?.targets ?? [];
    return { job_id: job.job_id, original_filename: filename, size, mime_type: "", format, status: "uploaded", created_at: job.created_at, targets };
  }

  job(jobId: string): Job {
    const job = this.jobs.get(jobId);
    if (!job) throw new Error(`no job ${jobId}`);
    return job;
  }

  /** What an event of it would say. */
  change(jobId: string, change: Partial<Job>): Job {
    const job = { ...this.job(jobId), ...change };
    this.jobs.set(jobId, job);
    return job;
  }

  complete(jobId: string): Job {
    const filename = `result.${this.job(jobId).target_format}`;
    return this.change(jobId, { status: "completed", progress: 100, completed_at: this.time(), output: { filename, mime_type: "", size: 7 } });
  }

  of(path: string): Call[] {
    return this.calls.filter((call) => call.path.split("?")[0] === path);
  }

  readonly fetch = async (input: string, init: RequestInit = {}): Promise<Response> => {
    const call: Call = {
      method: init.method ?? "GET",
      path: input,
      body: typeof init.body === "string" ? (JSON.parse(init.body) as Record<string, unknown>) : {},
      csrf: new Headers(init.headers).get("X-CSRF-Token"),
      authorization: new Headers(init.headers).get("Authorization"),
    };
    this.calls.push(call);
    const said = await this.answer(call);
    if (said === "lost") throw new TypeError("Failed to fetch");
    return said ?? this.route(call);
  };

  private route(call: Call): Response {
    const [path = "", query = ""] = call.path.split("?");
    if (path === "/formats") return json(FORMATS);
    if (path === "/session/init") return json(this.init([...this.people.values()].find(({ id }) => call.authorization === `Bearer access-${id}`)));
    if (path.startsWith("/auth/")) return this.auth(path, call);
    if (path === "/download") return new Response("the text of the result");
    if (!this.session) return problem(401, "session_required");
    if (call.method !== "GET" && call.csrf !== this.session.csrf_token) return problem(403, "csrf_invalid");
    if (path === "/session/close") {
      this.endSession();
      return json({ closed: true });
    }
    if (path === "/history") return this.history(call, new URLSearchParams(query));
    if (path.startsWith("/files/")) return call.method === "DELETE" ? new Response(null, { status: 204 }) : this.ofUpload(path.slice("/files/".length));
    return this.ofJob(path, call, new URLSearchParams(query).get("job_id"));
  }

  private ofUpload(id: string): Response {
    const job = this.sent.get(id);
    return job ? json({ id, state: "complete", job }) : problem(422, "type_mismatch");
  }

  private auth(path: string, call: Call): Response {
    if (path === "/auth/login") {
      const person = this.people.get(String(call.body["name"]));
      if (!person || person.password !== call.body["password"]) return problem(401, "login_failed");
      this.login = person.name;
    } else if (path === "/auth/logout") {
      this.login = null;
    }
    if (path === "/auth/logout") return json({ logged_out: true });
    const person = this.people.get(this.login ?? "");
    return person ? json({ access_token: `access-${person.id}` }) : problem(401, "auth_required");
  }

  private history(call: Call, query: URLSearchParams): Response {
    if (this.session?.plan !== "premium") return problem(403, "plan_required");
    const all = [...this.jobs.values()].sort((a, b) => Date.parse(b.created_at) - Date.parse(a.created_at));
    if (call.method === "DELETE") {
      this.jobs.clear();
      return json({ deleted: all.length, left: 0 });
    }
    const from = Number(query.get("cursor") ?? 0);
    const to = from + Number(query.get("limit"));
    return json({ jobs: all.slice(from, to), next_cursor: to < all.length ? String(to) : null, retention_seconds: 30 * DAY_S });
  }

  private ofJob(path: string, call: Call, queried: string | null): Response {
    const ids = (call.body["job_ids"] as string[] | undefined) ?? [String(call.body["job_id"] ?? queried)];
    const job = this.jobs.get(ids[0] ?? "");
    if (!job) return problem(404, "job_not_found");
    const ended = job.status === "completed" || job.status === "failed" || job.status === "cancelled";
    switch (path) {
      case "/job_status":
        return json(job);
      case "/convert":
        return job.status === "uploaded" ? this.enqueue(job, String(call.body["target_format"])) : problem(409, "wrong_state");
      case "/retry":
        return ended && job.status !== "completed" ? this.enqueue(job, job.target_format ?? "") : problem(409, "wrong_state");
      case "/cancel":
        return ended ? problem(409, "wrong_state") : json(this.change(job.job_id, { status: "cancelled", error_code: "cancelled_by_user" }));
      case "/delete":
        this.jobs.delete(job.job_id);
        return json({ job_id: job.job_id, deleted: true });
      case "/duplicate":
        return json(this.upload(job.original_filename, job.size), 201);
      case "/download_token": {
        const token = `token-${++this.names}`;
        return json({ token, url: ids.length > 1 ? `/download/archive?token=${token}` : `/download?token=${token}`, expires_at: this.time(600) }, 201);
      }
      default:
        return problem(404, "not_found");
    }
  }

  private enqueue(job: Job, target: string): Response {
    const task = `task-${++this.names}`;
    this.change(job.job_id, { status: "queued", progress: 0, task_id: task, target_format: target, error_code: null, error_message: null, completed_at: null });
    return json({ job_id: job.job_id, task_id: task, status: "queued", target_format: target, cached: false }, 202);
  }
}

/** One upload on its way. */
export class FakeXhr {
  readonly upload: { onprogress: ((event: { loaded: number }) => void) | null } = { onprogress: null };
  onload: (() => void) | null = null;
  onerror: (() => void) | null = null;
  onabort: (() => void) | null = null;
  onloadend: (() => void) | null = null;
  status = 0;
  responseText = "";
  aborted = false;
  ended = false;
  file: globalThis.File | null = null;
  csrf = "";
  private headers: Record<string, string> = {};

  open(): void {}
  setRequestHeader(name: string, value: string): void {
    if (name === "X-CSRF-Token") this.csrf = value;
  }
  getResponseHeader(name: string): string | null {
    return this.headers[name] ?? null;
  }
  send(form: FormData): void {
    this.file = form.get("file") as globalThis.File;
  }
  abort(): void {
    if (this.ended) return;
    this.aborted = true;
    this.end(() => this.onabort?.());
  }
  progress(loaded: number): void {
    this.upload.onprogress?.({ loaded });
  }
  /** The connection is cut. */
  cut(): void {
    this.end(() => this.onerror?.());
  }
  say(status: number, body: unknown, headers: Record<string, string> = {}): void {
    this.status = status;
    this.responseText = JSON.stringify(body);
    this.headers = headers;
    this.end(() => this.onload?.());
  }
  private end(how: () => void): void {
    this.ended = true;
    how();
    this.onloadend?.();
  }
}

/** One attempt of tus-js-client's. */
export class FakeTusUpload {
  url: string | null;
  started = false;
  aborted = false;

  constructor(
    readonly file: globalThis.File,
    readonly options: UploadOptions,
  ) {
    this.url = options.uploadUrl ?? null;
  }
  start(): void {
    this.started = true;
  }
  abort(): Promise<void> {
    this.aborted = true;
    return Promise.resolve();
  }
  /** The server has taken it, and says where. */
  created(id: string): void {
    this.url = `http://localhost/files/${id}`;
    this.options.onUploadUrlAvailable?.();
  }
  /** The server has told how much it has. */
  resumed(offset: number): void {
    const response = { getHeader: () => String(offset) } as unknown as HttpResponse;
    void this.options.onAfterResponse?.({ getMethod: () => "HEAD" } as HttpRequest, response);
    this.options.onUploadUrlAvailable?.();
  }
  progress(sent: number): void {
    this.options.onProgress?.(sent, this.file.size);
  }
  cut(): void {
    this.options.onError?.(Object.assign(new Error("tus: failed"), { originalResponse: null }));
  }
  refuse(status: number, code: string, headers: Record<string, string> = {}): void {
    const originalResponse = { getStatus: () => status, getBody: () => JSON.stringify({ code, detail: "" }), getHeader: (name: string) => headers[name] };
    this.options.onError?.(Object.assign(new Error("tus: refused"), { originalResponse }));
  }
  succeed(): void {
    this.options.onSuccess?.({ lastResponse: {} as HttpResponse });
  }
}

export class FakeStream extends EventTarget {
  readyState = 0;
  onerror: (() => void) | null = null;

  constructor(readonly url: string) {
    super();
  }
  close(): void {
    this.readyState = 2;
  }
  say(job: Job): void {
    this.readyState = 1;
    this.dispatchEvent(new MessageEvent("job", { data: JSON.stringify(job) }));
  }
  /** Another client has deleted it. */
  sayDeleted(jobId: string): void {
    this.dispatchEvent(new MessageEvent("deleted", { data: JSON.stringify({ job_id: jobId }) }));
  }
  /** `forGood`: the answer was no stream, and the browser doesn't try again. */
  fail(forGood: boolean): void {
    this.readyState = forGood ? 2 : 0;
    this.onerror?.();
  }
}

/** Tells all others, as soon as the present task has ended. */
function channels() {
  const all = new Set<EventTarget>();
  return class extends EventTarget {
    constructor() {
      super();
      all.add(this);
    }
    postMessage(data: unknown): void {
      const copy: unknown = structuredClone(data);
      for (const other of all) if (other !== this) queueMicrotask(() => other.dispatchEvent(new MessageEvent("message", { data: copy })));
    }
  };
}

class FakeDocument extends EventTarget {
  visibilityState: DocumentVisibilityState = "visible";
  show(state: DocumentVisibilityState): void {
    this.visibilityState = state;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

function notification(said: string[]) {
  return class Note {
    static permission: NotificationPermission = "default";
    static requestPermission(): Promise<NotificationPermission> {
      Note.permission = "granted";
      return Promise.resolve(Note.permission);
    }
    constructor(_title: string, options?: NotificationOptions) {
      said.push(options?.body ?? "");
    }
  };
}

export interface Tab {
  model: Model;
  xhrs: FakeXhr[];
  tus: FakeTusUpload[];
  streams: FakeStream[];
  saved: string[];
  notifications: string[];
  document: FakeDocument;
  window: EventTarget;
}

/** One holder at a time of each name, in the order of asking. */
function createLocks(): Pick<LockManager, "request"> {
  const last = new Map<string, Promise<unknown>>();
  const request = (name: string, task: () => Promise<unknown>) => {
    const turn = (last.get(name) ?? Promise.resolve()).then(task);
    last.set(
      name,
      turn.catch(() => undefined),
    );
    return turn;
  };
  return { request } as unknown as Pick<LockManager, "request">;
}

/** localStorage, which all tabs have in common. */
export function createStorage(): Pick<Storage, "getItem" | "setItem" | "removeItem"> {
  const values = new Map<string, string>();
  return {
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => void values.set(key, value),
    removeItem: (key) => void values.delete(key),
  };
}

export interface World {
  server: Server;
  locks: Pick<LockManager, "request">;
  /** A tab of the browser, that has begun; with `start` false, one that hasn't. */
  tab(given?: Partial<Environment>, start?: boolean): Promise<Tab>;
}

export function createWorld(): World {
  globalThis.indexedDB = new IDBFactory();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], now: START });
  const server = new Server();
  const Channel = channels();

  async function tab(given: Partial<Environment> = {}, start = true): Promise<Tab> {
    const xhrs: FakeXhr[] = [];
    const tus: FakeTusUpload[] = [];
    const streams: FakeStream[] = [];
    const saved: string[] = [];
    const notifications: string[] = [];
    const document = new FakeDocument();
    const window = new EventTarget();
    class Xhr extends FakeXhr {
      constructor() {
        super();
        xhrs.push(this);
      }
    }
    class TusUpload extends FakeTusUpload {
      constructor(file: globalThis.File, options: UploadOptions) {
        super(file, options);
        tus.push(this);
      }
    }
    class Stream extends FakeStream {
      constructor(url: string) {
        super(url);
        streams.push(this);
      }
    }
    const fakes = {
      fetch: server.fetch,
      XMLHttpRequest: Xhr,
      EventSource: Stream,
      BroadcastChannel: Channel,
      Notification: notification(notifications),
      tus: () => Promise.resolve({ Upload: TusUpload }),
      locks: undefined,
      storage: undefined,
      tabStorage: undefined,
      document,
      window,
      random: () => 1,
      returnedBy: () => null,
      save: (url: string) => saved.push(url),
    };
    const model = createModel({ ...(fakes as unknown as Partial<Environment>), ...given });
    if (start) {
      void model.start();
      await settle();
    }
    return { model, xhrs, tus, streams, saved, notifications, document, window };
  }

  return { server, locks: createLocks(), tab };
}

/** All that can happen without time passing has happened. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 40; i++) await new Promise((resolve) => setImmediate(resolve));
}

export async function pass(ms: number): Promise<void> {
  await settle();
  await vi.advanceTimersByTimeAsync(ms);
  await settle();
}

export const file = (name: string, size = 10, lastModified = Date.now()) =>
  new File([new Uint8Array(size)], name, { lastModified }) as unknown as globalThis.File;

export function only<T>(list: readonly T[]): T {
  const [first] = list;
  if (first === undefined || list.length !== 1) throw new Error(`one was expected, and not ${list.length}`);
  return first;
}

export function at<T>(list: readonly T[], index: number): T {
  const found = list.at(index);
  if (found === undefined) throw new Error(`there is none at ${index} of ${list.length}`);
  return found;
}

export interface Named {
  key: string;
  jobId: string;
}

/** Adds a file, and lets it come up. */
export async function uploaded(world: World, tab: Tab, name: string, size = 10): Promise<Named> {
  tab.model.add([file(name, size)]);
  await settle();
  const answer = world.server.upload(name, size);
  at(tab.xhrs, -1).say(201, answer);
  await settle();
  return { key: at(tab.model.items.value, -1).key, jobId: answer.job_id };
}

/** Uploads it, and lets its conversion begin. */
export async function converting(world: World, tab: Tab, name: string, target: string): Promise<Named> {
  const row = await uploaded(world, tab, name);
  tab.model.setTarget(row.key, target);
  tab.model.convert(row.key);
  await settle();
  return row;
}

/** And to its end. */
export async function completed(world: World, tab: Tab, name: string, target: string): Promise<Named> {
  const row = await converting(world, tab, name, target);
  at(tab.streams, -1).say(world.server.complete(row.jobId));
  await settle();
  return row;
}

export function row(tab: Tab, key: string) {
  const item = tab.model.items.value.find((each) => each.key === key);
  if (!item) throw new Error(`no row ${key}`);
  return item;
}

/** What the browser's database holds, of whomever. */
export async function stored(): Promise<StoredEntry[]> {
  const database = await openDB("decant");
  const all = (await database.getAll("history")) as StoredEntry[];
  database.close();
  return all;
}
