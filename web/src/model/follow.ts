// How the page learns what becomes of jobs, while any is under way and only then: one event stream for all of them; where that fails, /job_status with a long
// wait for each, two at a time (a browser has six connections, and four of them may be uploads), until an event comes again.
//
// A stream can be dead without saying so: a proxy keeps back what it gets, or the computer slept. A new one begins with the state of all jobs, so the first
// event has to come soon; and one that is silent for long is opened anew.

import { effect, type ReadonlySignal } from "@preact/signals";
import type { Api } from "./api";
import type { Environment } from "./environment";
import { asFailure } from "./failure";
import type { Jobs } from "./jobs";
import type { SessionKeeper } from "./session";
import { ownerOf, type Job } from "./types";
import { backoffMs, sleep } from "./waiting";

const FIRST_EVENT_MS = 10_000;
const SILENCE_MS = 60_000;
/** Shown again after less than that, the stream has hardly missed anything. */
const FRESH_MS = 15_000;
const FAILURES = 2;
const POLLS = 2;
const LONG_WAIT_S = 25;
/** Between two questions, also where something in between answers without waiting. */
const LEAST_MS = 500;
const CLOSED = 2;

/** Asks for the jobs in turn, whoever was asked least recently first. */
function createPolling(env: Environment, api: Api, session: SessionKeeper, jobs: FollowNeeds["jobs"], running: ReadonlySignal<readonly string[]>) {
  const asked = new Map<string, number>();
  const asking = new Set<string>();
  let control: AbortController | null = null;
  let turn = 0;
  let failures = 0;

  async function ask(jobId: string, signal: AbortSignal): Promise<void> {
    // With more jobs than places nobody may hold one for long.
    const wait = running.peek().length > POLLS ? 1 : LONG_WAIT_S;
    const begun = env.now();
    try {
      jobs.apply(await api.status(jobId, wait, signal));
      failures = 0;
      await sleep(LEAST_MS - (env.now() - begun), signal);
    } catch (thrown) {
      if (signal.aborted) return;
      const failure = asFailure(thrown);
      if (jobs.isGone(failure)) return jobs.lose(jobId, failure.problem);
      const asks = (failure.problem.retryAfter ?? 0) * 1000;
      await sleep(Math.max(asks, backoffMs(failures++, env.random())), signal);
      await session.reachable(signal);
    }
  }

  function pump(): void {
    const signal = control?.signal;
    while (signal && !signal.aborted && asking.size < POLLS) {
      const [next] = running
        .peek()
        .filter((id) => !asking.has(id))
        .sort((a, b) => (asked.get(a) ?? 0) - (asked.get(b) ?? 0));
      if (next === undefined) return;
      asking.add(next);
      asked.set(next, ++turn);
      void ask(next, signal).finally(() => {
        if (signal.aborted) return;
        asking.delete(next);
        pump();
      });
    }
  }

  return {
    pump,
    start() {
      control ??= new AbortController();
      pump();
    },
    stop() {
      control?.abort();
      control = null;
      asking.clear();
      asked.clear();
    },
  };
}

export interface FollowNeeds {
  env: Environment;
  api: Api;
  session: SessionKeeper;
  jobs: Pick<Jobs, "apply" | "lose" | "isGone">;
  /** Somebody has deleted it on the server. */
  deleted(jobId: string): void;
  /** Ids of the jobs that are under way. */
  running: ReadonlySignal<readonly string[]>;
}

/** Begins; the answer ends it. */
export function follow({ env, api, session, jobs, deleted, running }: FollowNeeds): () => void {
  const polling = createPolling(env, api, session, jobs, running);
  let source: EventSource | null = null;
  let failures = 0;
  let heardAt = 0;
  let silence: ReturnType<typeof setTimeout> | undefined;
  let reopening: ReturnType<typeof setTimeout> | undefined;

  function expect(ms: number, otherwise: () => void): void {
    clearTimeout(silence);
    silence = setTimeout(otherwise, ms);
  }

  function closeStream(): void {
    clearTimeout(silence);
    clearTimeout(reopening);
    source?.close();
    source = null;
  }

  function speaks(): void {
    failures = 0;
    heardAt = env.now();
    polling.stop();
    expect(SILENCE_MS, open);
  }

  function heard(event: MessageEvent<string>): void {
    speaks();
    jobs.apply(JSON.parse(event.data) as Job);
  }

  function heardOfDeletion(event: MessageEvent<string>): void {
    speaks();
    deleted((JSON.parse(event.data) as Pick<Job, "job_id">).job_id);
  }

  function nothingCame(): void {
    polling.start();
    expect(SILENCE_MS, open);
  }

  function failed(stream: EventSource): void {
    if (stream !== source) return;
    failures++;
    if (failures >= FAILURES) polling.start();
    if (stream.readyState !== CLOSED) return; /* the browser tries again by itself */
    closeStream();
    reopening = setTimeout(open, backoffMs(failures, env.random()));
  }

  function open(): void {
    closeStream();
    if (!env.EventSource) return polling.start();
    const stream = new env.EventSource("/events");
    source = stream;
    stream.addEventListener("job", heard);
    stream.addEventListener("deleted", heardOfDeletion);
    stream.onerror = () => failed(stream);
    expect(FIRST_EVENT_MS, nothingCame);
  }

  function close(): void {
    closeStream();
    polling.stop();
    failures = 0;
  }

  let following = false;
  let whose = "";
  const ended = effect(() => {
    const any = running.value.length > 0;
    const before = whose;
    whose = ownerOf(session.current.value);
    if (any && following && whose !== before) return open(); /* the stream that there is tells of somebody else's */
    if (any === following) return polling.pump();
    following = any;
    if (any) open();
    else close();
  });

  function wake(): void {
    if (following && env.document.visibilityState === "visible" && env.now() - heardAt > FRESH_MS) open();
  }

  env.document.addEventListener("visibilitychange", wake);
  env.window.addEventListener("pageshow", wake);
  env.window.addEventListener("online", wake);

  return () => {
    ended();
    close();
    env.document.removeEventListener("visibilitychange", wake);
    env.window.removeEventListener("pageshow", wake);
    env.window.removeEventListener("online", wake);
  };
}
