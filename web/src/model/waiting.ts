// Trying again, and not too many things at once.

import type { Environment } from "./environment";
import { asFailure, failureOfNetwork, isTransient, type Failure } from "./failure";

const FIRST_MS = 1000;
const LONGEST_MS = 30_000;

/** Twice as long each time, and between half of that and all of it: so that not everybody comes back at the same moment. */
export function backoffMs(attempt: number, random: number): number {
  return Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt) * (0.5 + random / 2);
}

/** Ends early when it is called off. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}

export interface Insistence {
  signal: AbortSignal;
  /** How often at most, by what went wrong. */
  tries(failure: Failure): number;
  /** Has anything come of the attempts since this was last asked? Then they are counted anew. */
  advanced?(): boolean;
  /** Before a wait, for what went wrong. */
  stalled(failure: Failure): void;
  /** Resolves when the server can be reached, or the signal says so: time without a network costs no tries. */
  reachable(signal: AbortSignal): Promise<void>;
}

/** Tries until it works, can't work, or is called off; throws the last Failure. */
export async function insist<T>(env: Pick<Environment, "random">, attempt: () => Promise<T>, how: Insistence): Promise<T> {
  for (let n = 0; ; n++) {
    try {
      return await attempt();
    } catch (thrown) {
      const failure = asFailure(thrown);
      if (how.advanced?.()) n = 0;
      if (how.signal.aborted || !isTransient(failure) || n + 1 >= how.tries(failure)) throw failure;
      how.stalled(failure);
      const asked = (failure.problem.retryAfter ?? 0) * 1000;
      await sleep(Math.max(asked * (1 + env.random() / 4), backoffMs(n, env.random())), how.signal);
      await how.reachable(how.signal);
      if (how.signal.aborted) throw failure;
    }
  }
}

export interface Pool {
  /** Who is called off while it waits for its turn leaves the line at once, with a Failure. */
  run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

/** Runs at most `limit` at once, in the order of asking. */
export function createPool(limit: number): Pool {
  const waiting: (() => void)[] = [];
  let running = 0;

  function turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        waiting.splice(waiting.indexOf(enter), 1);
        reject(failureOfNetwork());
      };
      waiting.push(enter);
      signal?.addEventListener("abort", leave, { once: true });
    });
  }

  return {
    async run(task, signal) {
      if (signal?.aborted) throw failureOfNetwork();
      if (running >= limit) await turn(signal);
      else running++;
      try {
        return await task();
      } finally {
        // The place goes from hand to hand, so that nobody comes between.
        const next = waiting.shift();
        if (next) next();
        else running--;
      }
    },
  };
}
