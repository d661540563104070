// Calls of the server (docs/api.md): the one place that knows paths, the CSRF token and what an error looks like. They throw a Failure and nothing else.
// A session that has ended, and a token that belongs to another one (a second tab began anew), are told to who keeps the session.

import type { Clock } from "./clock";
import type { Environment } from "./environment";
import { asFailure, failureOf, failureOfAnswer, failureOfNetwork } from "./failure";
import { ownerOf, type DownloadToken, type Formats, type Job, type JobPage, type Options, type Session, type Uploaded } from "./types";

/** POST /convert and POST /retry */
export interface Queued {
  job_id: string;
  /** null: nothing runs, as a result that is there already serves (`cached`). */
  task_id: string | null;
  status: "queued" | "completed";
  target_format: string;
  cached: boolean;
}

export interface ApiListener {
  /** An answer came, or none. */
  reached(answered: boolean): void;
  /** The session isn't there any more, or isn't the one that the token is of: begins another one, or learns of it. False: there was no answer. */
  stale(): Promise<boolean>;
}

export interface Api {
  listener: ApiListener;
  /** Of the session; "" before there is one. */
  csrf: string;
  /** With an access token the browser's session becomes one of its account. */
  init(accessToken?: string): Promise<Session>;
  /** From now on calls are those of this one. */
  is(session: Session): void;
  /** Of an account: the browser's session alone, and nothing of what the account has. */
  close(): Promise<void>;
  /** These two answer with an access token. */
  login(name: string, password: string): Promise<string>;
  refresh(): Promise<string>;
  /** Ends the login and the browser's session. */
  logout(session: Session): Promise<void>;
  /** As close(), of one that needn't be the page's, and whose end may not begin another one. */
  leave(session: Session): Promise<void>;
  /** Of the account, the newest first; `cursor` is the page before's. */
  accountJobs(cursor: string | null): Promise<JobPage>;
  /** Deletes all jobs of the account; the answer is how many are left, as others that are under way need them. */
  deleteAccountJobs(): Promise<number>;
  formats(): Promise<Formats>;
  convert(jobIds: readonly string[], target: string, options: Options): Promise<Queued>;
  /** Without `options`: those that the job has. */
  retry(jobId: string, options?: Options): Promise<Queued>;
  cancel(jobId: string): Promise<Job>;
  /** With everything of it; 404: there is nothing of it. */
  delete(jobId: string): Promise<void>;
  duplicate(jobId: string): Promise<Uploaded>;
  /** Answered after `waitSeconds`, or before that, when something has changed; 0: at once. */
  status(jobId: string, waitSeconds?: number, signal?: AbortSignal): Promise<Job>;
  /** Of one result, or of several as one archive. */
  /** `part`: the number of the archive, for its name, where there are several. */
  downloadToken(jobIds: readonly string[], part?: number): Promise<DownloadToken>;
  /** What has become of an upload in pieces that is complete. */
  sent(id: string): Promise<Uploaded>;
  /** Of such an upload that is not; whatever the server says. */
  giveUp(id: string): Promise<void>;
  /** The first bytes of a result. */
  text(url: string, bytes: number): Promise<string>;
}

interface Request {
  post?: unknown;
  /** The token goes along, also without a body. */
  token?: true;
  method?: "DELETE";
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** Longer than any answer is held back (25 s). Without an end a tab that hangs would keep the others from their session (session.ts). */
const PATIENCE_MS = 60_000;

/** Jobs of the account's history at once. */
const PAGE = 50;

/** Ends with the signal there is, or when patience does. */
function patience(signal: AbortSignal | undefined): { signal: AbortSignal; end(): void } {
  const control = new AbortController();
  const stop = () => control.abort();
  const timer = setTimeout(stop, PATIENCE_MS);
  signal?.addEventListener("abort", stop);
  if (signal?.aborted) stop();
  return {
    signal: control.signal,
    end() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    },
  };
}

async function answerOf(env: Environment, path: string, init: RequestInit): Promise<Response> {
  try {
    return await env.fetch(path, init);
  } catch {
    throw failureOfNetwork();
  }
}

async function textOf(response: Response): Promise<string> {
  try {
    return await response.text();
  } catch {
    throw failureOfNetwork(); /* it broke off */
  }
}

/** Without the rest of a file that is larger: a server that doesn't heed the range sends all of it. */
async function beginning(response: Response, bytes: number): Promise<string> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let left = bytes; reader && left > 0;) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value.subarray(0, left), { stream: true });
    left -= value.length;
  }
  await reader?.cancel();
  return text; /* half a character at the end stays in the decoder */
}

function parse<T>(status: number, body: string): T {
  try {
    return JSON.parse(body) as T;
  } catch {
    throw failureOfAnswer(status);
  }
}

export function createApi(env: Environment, clock: Clock): Api {
  let owner = "";

  function initOf(request: Request): RequestInit {
    const headers = { Accept: "application/json", ...request.headers };
    const init: RequestInit = { credentials: "same-origin", headers };
    if (request.method) init.method = request.method;
    if (request.method || request.token) return { ...init, headers: { ...headers, "X-CSRF-Token": api.csrf } };
    if (!("post" in request)) return init;
    return {
      ...init,
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": api.csrf, ...headers },
      body: JSON.stringify(request.post),
    };
  }

  async function exchange(path: string, init: RequestInit): Promise<{ response: Response; body: string }> {
    const response = await answerOf(env, path, init);
    return { response, body: await textOf(response) };
  }

  async function once<T>(path: string, request: Request): Promise<T> {
    const { signal, end } = patience(request.signal);
    const { response, body } = await exchange(path, { ...initOf(request), signal }).finally(end);
    const date = response.headers.get("Date");
    if (date) clock.is(date);
    if (!response.ok) throw failureOf(response.status, body, response.headers.get("Retry-After"));
    return parse<T>(response.status, body);
  }

  async function heard<T>(path: string, request: Request): Promise<T> {
    try {
      const answer = await once<T>(path, request);
      api.listener.reached(true);
      return answer;
    } catch (thrown) {
      if (!request.signal?.aborted) api.listener.reached(asFailure(thrown).status !== 0);
      throw thrown;
    }
  }

  async function call<T>(path: string, request: Request = {}): Promise<T> {
    const before = owner;
    try {
      return await heard<T>(path, request);
    } catch (thrown) {
      const { code } = asFailure(thrown).problem;
      // Between an account's session that has ended and the next one that its login makes the browser has nobody's, which knows none of its jobs.
      const maybeNobodys = code === "job_not_found" && owner !== "";
      if (code !== "csrf_invalid" && code !== "session_required" && !maybeNobodys) throw thrown;
      if (!(await api.listener.stale()) && owner !== "") throw failureOfNetwork(); /* whether it is gone can't be known */
      // Jobs of a session that has ended are gone, but those of an account aren't. What was meant for one account is not to be done in another.
      if (owner !== before || (code === "session_required" && owner === "")) throw thrown;
      return heard<T>(path, request);
    }
  }

  /** Where the session can't be asked for meanwhile (login.ts holds it): nothing is tried again. */
  async function tokenOf(path: string, post: unknown): Promise<string> {
    const { access_token } = await once<{ access_token?: unknown }>(path, { post });
    if (typeof access_token !== "string") throw failureOfAnswer(200);
    return access_token;
  }

  /** One that needn't be the page's. */
  async function close(session: Session): Promise<void> {
    await once("/session/close", { post: {}, headers: { "X-CSRF-Token": session.csrf_token } });
  }

  function sessionIsOver(thrown: unknown): void {
    if (asFailure(thrown).problem.code !== "session_required") throw thrown;
  }

  const api: Api = {
    listener: { reached: () => undefined, stale: () => Promise.resolve(false) },
    csrf: "",

    async init(accessToken) {
      const session = await once<Session>("/session/init", accessToken ? { headers: { Authorization: `Bearer ${accessToken}` } } : {});
      if (typeof session.csrf_token !== "string" || !session.limits) throw failureOfAnswer(200);
      clock.isWithin(session.created_at, session.expires_at);
      return session;
    },
    is(session) {
      api.csrf = session.csrf_token;
      owner = ownerOf(session);
    },
    async close() {
      await call("/session/close", { post: {} });
    },
    login: (name, password) => tokenOf("/auth/login", { name, password }),
    refresh: () => tokenOf("/auth/refresh", {}),
    async logout(session) {
      await once("/auth/logout", { post: {} });
      if (session.account) await close(session).catch(sessionIsOver); /* what is nobody's is not ours to close */
    },
    leave: close,
    accountJobs: (cursor) => call<JobPage>(`/history?limit=${PAGE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`),
    deleteAccountJobs: async () => (await call<{ left: number }>("/history", { method: "DELETE" })).left,
    formats: () => call<Formats>("/formats"),
    convert: (jobIds, target, options) =>
      call<Queued>("/convert", {
        post: { ...(jobIds.length === 1 ? { job_id: jobIds[0] } : { job_ids: jobIds }), target_format: target, options },
      }),
    retry: (jobId, options) => call<Queued>("/retry", { post: { job_id: jobId, ...(options ? { options } : {}) } }),
    cancel: (jobId) => call<Job>("/cancel", { post: { job_id: jobId } }),
    async delete(jobId) {
      await call("/delete", { post: { job_id: jobId } });
    },
    async duplicate(jobId) {
      const copy = await call<Uploaded>("/duplicate", { post: { job_id: jobId } });
      clock.is(copy.created_at);
      return copy;
    },
    status: (jobId, waitSeconds = 0, signal) =>
      call<Job>(`/job_status?job_id=${encodeURIComponent(jobId)}${waitSeconds > 0 ? `&wait=${waitSeconds}` : ""}`, signal ? { signal } : {}),
    downloadToken: (jobIds, part) =>
      call<DownloadToken>("/download_token", { post: jobIds.length === 1 ? { job_id: jobIds[0] } : { job_ids: jobIds, ...(part && { part }) } }),
    async sent(id) {
      const { job } = await call<{ job: Uploaded | null }>(`/files/${id}`, { token: true });
      if (!job) throw failureOfNetwork(); /* it is looked at yet */
      clock.is(job.created_at);
      return job;
    },
    async giveUp(id) {
      const headers = { "Tus-Resumable": "1.0.0", "X-CSRF-Token": api.csrf };
      await env.fetch(`/files/${id}`, { method: "DELETE", credentials: "same-origin", headers }).catch(() => undefined);
    },
    async text(url, bytes) {
      const response = await answerOf(env, url, { headers: { Range: `bytes=0-${bytes - 1}` } });
      if (response.status === 416) return ""; /* an empty file has no first byte */
      if (!response.ok) throw failureOf(response.status, await textOf(response), null);
      return beginning(response, bytes).catch(() => {
        throw failureOfNetwork();
      });
    },
  };
  return api;
}
