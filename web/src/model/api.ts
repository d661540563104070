// Calls of the server (docs/api.md): the one place that knows paths, the CSRF token and what an error looks like. They throw a Failure and nothing else.
// A session that has ended, and a token that belongs to another one (a second tab began anew), are told to who keeps the session.

import type { Clock } from "./clock";
import type { Environment } from "./environment";
import { asFailure, failureOf, failureOfAnswer, failureOfNetwork } from "./failure";
import type { DownloadToken, Formats, Job, Options, Session, Uploaded } from "./types";

/** POST /convert and POST /retry */
export interface Queued {
  job_id: string;
  task_id: string;
  status: "queued";
  target_format: string;
}

export interface ApiListener {
  /** An answer came, or none. */
  reached(answered: boolean): void;
  /** The session isn't there any more, or isn't the one that the token is of: begins another one, or learns of it. */
  stale(): Promise<void>;
}

export interface Api {
  listener: ApiListener;
  /** Of the session; "" before there is one. */
  csrf: string;
  init(): Promise<Session>;
  close(): Promise<void>;
  formats(): Promise<Formats>;
  convert(jobIds: readonly string[], target: string, options: Options): Promise<Queued>;
  /** Without `options`: those that the job has. */
  retry(jobId: string, options?: Options): Promise<Queued>;
  cancel(jobId: string): Promise<Job>;
  duplicate(jobId: string): Promise<Uploaded>;
  /** Answered after `waitSeconds`, or before that, when something has changed; 0: at once. */
  status(jobId: string, waitSeconds?: number, signal?: AbortSignal): Promise<Job>;
  /** Of one result, or of several as one archive. */
  downloadToken(jobIds: readonly string[]): Promise<DownloadToken>;
  /** The first bytes of a result. */
  text(url: string, bytes: number): Promise<string>;
}

interface Request {
  post?: unknown;
  signal?: AbortSignal;
}

/** Longer than any answer is held back (25 s). Without an end a tab that hangs would keep the others from their session (session.ts). */
const PATIENCE_MS = 60_000;

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
  function initOf(request: Request): RequestInit {
    const init: RequestInit = { credentials: "same-origin", headers: { Accept: "application/json" } };
    if (!("post" in request)) return init;
    return {
      ...init,
      method: "POST",
      headers: { ...init.headers, "Content-Type": "application/json", "X-CSRF-Token": api.csrf },
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
    try {
      return await heard<T>(path, request);
    } catch (thrown) {
      const { code } = asFailure(thrown).problem;
      if (code !== "csrf_invalid" && code !== "session_required") throw thrown;
      await api.listener.stale();
      // Jobs of a session that has ended are gone: only a wrong token is worth another try.
      if (code === "session_required") throw thrown;
      return heard<T>(path, request);
    }
  }

  const api: Api = {
    listener: { reached: () => undefined, stale: () => Promise.resolve() },
    csrf: "",

    async init() {
      const session = await once<Session>("/session/init", {});
      if (typeof session.csrf_token !== "string" || !session.limits) throw failureOfAnswer(200);
      clock.isWithin(session.created_at, session.expires_at);
      api.csrf = session.csrf_token;
      return session;
    },
    async close() {
      await call("/session/close", { post: {} });
    },
    formats: () => call<Formats>("/formats"),
    convert: (jobIds, target, options) =>
      call<Queued>("/convert", {
        post: { ...(jobIds.length === 1 ? { job_id: jobIds[0] } : { job_ids: jobIds }), target_format: target, options },
      }),
    retry: (jobId, options) => call<Queued>("/retry", { post: { job_id: jobId, ...(options ? { options } : {}) } }),
    cancel: (jobId) => call<Job>("/cancel", { post: { job_id: jobId } }),
    async duplicate(jobId) {
      const copy = await call<Uploaded>("/duplicate", { post: { job_id: jobId } });
      clock.is(copy.created_at);
      return copy;
    },
    status: (jobId, waitSeconds = 0, signal) =>
      call<Job>(`/job_status?job_id=${encodeURIComponent(jobId)}${waitSeconds > 0 ? `&wait=${waitSeconds}` : ""}`, signal ? { signal } : {}),
    downloadToken: (jobIds) => call<DownloadToken>("/download_token", { post: jobIds.length === 1 ? { job_id: jobIds[0] } : { job_ids: jobIds } }),
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
