// A large file by tus-js-client: the server keeps what has come of it (docs/api.md, "Resumable uploads"), so that another attempt sends the rest. When to try
// again is decided where it is for all uploads; the client library is loaded when the first file needs it.

import type { Api } from "./api";
import type { Clock } from "./clock";
import type { Environment, Tus } from "./environment";
import { Failure, failureOf, failureOfNetwork } from "./failure";
import { isReadable, send, SILENCE_MS, unreadable, type Sending } from "./send";
import type { Uploaded } from "./types";

/** Smaller ones are sent in one request: they are sooner there again than asked about. */
export const LARGE = 4 * 1024 * 1024;

/** So much is sent in vain at most when a browser repeats a request by itself, whose connection broke: what it repeats is refused, as the file stands elsewhere
 * by then. */
const REQUEST = 8 * 1024 * 1024;

/** What is known of it from one attempt to the next. */
export interface Begun {
  /** Where the server has it; null: nowhere yet. */
  url: string | null;
  /** How many bytes of it the server is known to have. */
  accepted: number;
}

export const begunAt = (url: string | null): Begun => ({ url, accepted: 0 });

const idOf = (url: string) => url.slice(url.lastIndexOf("/") + 1);

function failureOfTus(error: Error): Failure {
  const response = "originalResponse" in error ? (error.originalResponse as TusResponse | null) : null;
  return response ? failureOf(response.getStatus(), response.getBody(), response.getHeader("Retry-After") ?? null) : failureOfNetwork();
}

interface TusResponse {
  getStatus(): number;
  getBody(): string;
  getHeader(name: string): string | undefined;
}

export interface SendingInPieces extends Sending {
  /** The server has it there, or still has. */
  found(url: string): void;
}

function exchange({ Upload }: Tus, csrf: string, file: File, state: Begun, { signal, progress, found }: SendingInPieces): Promise<void> {
  return new Promise((resolve, reject) => {
    let silence: ReturnType<typeof setTimeout> | undefined;
    const end = (how: () => void) => {
      clearTimeout(silence);
      signal.removeEventListener("abort", stop);
      how();
    };
    const stop = () => {
      void upload.abort();
      end(() => reject(failureOfNetwork()));
    };
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(stop, SILENCE_MS);
    };
    const upload = new Upload(file, {
      endpoint: "/files",
      uploadUrl: state.url,
      metadata: { filename: file.name },
      headers: { "X-CSRF-Token": csrf },
      chunkSize: REQUEST,
      retryDelays: null,
      storeFingerprintForResuming: false,
      onUploadUrlAvailable: () => {
        if (upload.url !== state.url) Object.assign(state, { url: upload.url, accepted: 0 });
        if (upload.url !== null) found(upload.url);
      },
      onAfterResponse: (request, response) => {
        if (request.getMethod() === "HEAD") state.accepted = Number(response.getHeader("Upload-Offset") ?? 0);
      },
      onChunkComplete: (_size, accepted) => {
        state.accepted = accepted;
      },
      onProgress: (sent) => {
        heard();
        progress(sent);
      },
      onSuccess: () => end(resolve),
      onError: (error) => end(() => reject(failureOfTus(error))),
    });
    signal.addEventListener("abort", stop);
    heard();
    upload.start();
  });
}

/** Throws a Failure, after which another attempt with the same `state` goes on where this one ended. */
export async function sendInPieces(env: Environment, api: Api, clock: Clock, file: File, state: Begun, how: SendingInPieces): Promise<Uploaded> {
  const tus = await env.tus().catch(() => null);
  if (!tus) return send(env, api, clock, file, how); /* it can't be had: the page was replaced by another one meanwhile */
  if (!(await isReadable(file))) throw unreadable();
  if (how.signal.aborted) throw failureOfNetwork();
  try {
    await exchange(tus, api.csrf, file, state, how);
  } catch (thrown) {
    if (!(thrown instanceof Failure) || thrown.problem.code !== "network" || how.signal.aborted) throw thrown;
    if (!(await isReadable(file))) throw unreadable();
    api.listener.reached(false);
    throw thrown;
  }
  api.listener.reached(true);
  return api.sent(idOf(state.url ?? ""));
}

/** Nobody will go on with it: the server need not keep it. */
export function giveUp(api: Api, state: Begun): void {
  if (state.url !== null) void api.giveUp(idOf(state.url));
}
