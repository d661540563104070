// One POST /upload. XMLHttpRequest, since fetch doesn't tell how much has been sent.

import type { Api } from "./api";
import type { Clock } from "./clock";
import type { Environment } from "./environment";
import { Failure, failureOf, failureOfAnswer, failureOfNetwork } from "./failure";
import type { Uploaded } from "./types";

/** A connection that died with the computer asleep says nothing, ever. */
export const SILENCE_MS = 120_000;

export const unreadable = () => new Failure({ code: "unreadable", detail: "" }, 0);

/** A file that was changed, moved or removed since it was chosen, or is a folder, fails only when it is read; to XMLHttpRequest that is the network. */
export function isReadable(file: File): Promise<boolean> {
  return file
    .slice(0, 1)
    .arrayBuffer()
    .then(
      () => true,
      () => false,
    );
}

function answerOf(xhr: XMLHttpRequest, clock: Clock): Uploaded {
  if (xhr.status < 200 || xhr.status > 299) throw failureOf(xhr.status, xhr.responseText, xhr.getResponseHeader("Retry-After"));
  let answer: Uploaded;
  try {
    answer = JSON.parse(xhr.responseText) as Uploaded;
  } catch {
    throw failureOfAnswer(xhr.status);
  }
  if (typeof answer.job_id !== "string") throw failureOfAnswer(xhr.status);
  clock.is(answer.created_at);
  return answer;
}

function exchange(env: Environment, csrf: string, file: File, signal: AbortSignal, progress: (sent: number) => void): Promise<XMLHttpRequest> {
  return new Promise((resolve, reject) => {
    const xhr = new env.XMLHttpRequest();
    const stop = () => xhr.abort();
    let silence: ReturnType<typeof setTimeout> | undefined;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(stop, SILENCE_MS);
    };

    xhr.upload.onprogress = (event) => {
      heard();
      // What is counted is the form, which is a little more than the file.
      progress(Math.min(event.loaded, file.size));
    };
    xhr.onload = () => resolve(xhr);
    xhr.onerror = xhr.onabort = () => reject(failureOfNetwork());
    xhr.onloadend = () => {
      clearTimeout(silence);
      signal.removeEventListener("abort", stop);
    };
    signal.addEventListener("abort", stop);

    const form = new FormData();
    form.append("file", file, file.name);
    xhr.open("POST", "/upload");
    xhr.setRequestHeader("Accept", "application/json");
    xhr.setRequestHeader("X-CSRF-Token", csrf);
    heard();
    xhr.send(form);
  });
}

export interface Sending {
  signal: AbortSignal;
  progress(sent: number): void;
}

/** Throws a Failure. */
export async function send(env: Environment, api: Api, clock: Clock, file: File, how: Sending): Promise<Uploaded> {
  if (!(await isReadable(file))) throw unreadable();
  if (how.signal.aborted) throw failureOfNetwork();
  try {
    const xhr = await exchange(env, api.csrf, file, how.signal, how.progress);
    api.listener.reached(true);
    return answerOf(xhr, clock);
  } catch (thrown) {
    if (!(thrown instanceof Failure) || thrown.problem.code !== "network" || how.signal.aborted) throw thrown;
    if (!(await isReadable(file))) throw unreadable();
    api.listener.reached(false);
    throw thrown;
  }
}
