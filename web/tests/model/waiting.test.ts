// @vitest-environment node
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Failure } from "../../src/model/failure";
import { backoffMs, createPool, insist, sleep } from "../../src/model/waiting";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const failure = (status: number, code = "x", retryAfter?: number) =>
  new Failure({ code, detail: "", ...(retryAfter === undefined ? {} : { retryAfter }) }, status);

function trying(outcomes: (Failure | string)[], tries = 5) {
  const times: number[] = [];
  const control = new AbortController();
  const begun = Date.now();
  const result = insist(
    { random: () => 1 },
    () => {
      times.push(Date.now() - begun);
      const next = outcomes.shift();
      return next instanceof Failure ? Promise.reject(next) : Promise.resolve(next);
    },
    { signal: control.signal, tries: () => tries, stalled: () => undefined, reachable: () => Promise.resolve() },
  ).catch((thrown: Failure) => thrown.problem.code);
  return { times, control, result };
}

describe("the pause before another try", () => {
  it("doubles up to half a minute, and is at least half of that", () => {
    expect([0, 1, 2, 9].map((n) => backoffMs(n, 1))).toEqual([1000, 2000, 4000, 30_000]);
    expect(backoffMs(1, 0)).toBe(1000);
  });
});

describe("insist", () => {
  it("tries again after a lost connection and a busy server, later each time", async () => {
    const { times, result } = trying([failure(0), failure(503), failure(502), "done"]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await result).toBe("done");
    expect(times).toEqual([0, 1000, 3000, 7000]);
  });

  it("waits as long as the server asks, and a little more", async () => {
    const { times, result } = trying([failure(429, "rate_limited", 20), "done"]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await result).toBe("done");
    expect(times).toEqual([0, 25_000]);
  });

  it.each([
    [400, "bad_request"],
    [404, "job_not_found"],
    [413, "too_large"],
    [507, "storage_full"],
    [200, "unexpected"],
    [0, "unreadable"],
  ])("gives up at once after %i %s", async (status, code) => {
    const { times, result } = trying([failure(status, code), "done"]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await result).toBe(code);
    expect(times).toEqual([0]);
  });

  it("gives up after so many tries", async () => {
    const { times, result } = trying([failure(0, "a"), failure(0, "b"), failure(0, "c"), "done"], 3);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await result).toBe("c");
    expect(times.length).toBe(3);
  });

  it("ends when it is called off", async () => {
    const { times, control, result } = trying([failure(0, "lost"), "done"]);
    await vi.advanceTimersByTimeAsync(500);
    control.abort();
    expect(await result).toBe("lost");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(times).toEqual([0]);
  });
});

describe("sleep", () => {
  it("leaves no timer behind when it is woken", async () => {
    const control = new AbortController();
    const slept = sleep(10_000, control.signal);
    control.abort();
    await slept;
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("a pool", () => {
  it("runs so many at once, in order, also after one has failed", async () => {
    const pool = createPool(2);
    const begun: number[] = [];
    const ends: ((fails: boolean) => void)[] = [];
    const all = [0, 1, 2, 3].map((n) =>
      pool
        .run(() => {
          begun.push(n);
          return new Promise<void>((resolve, reject) => (ends[n] = (fails) => (fails ? reject(new Error("x")) : resolve())));
        })
        .catch(() => undefined),
    );
    await vi.advanceTimersByTimeAsync(0);
    expect(begun).toEqual([0, 1]);
    ends[1]?.(true);
    await vi.advanceTimersByTimeAsync(0);
    expect(begun).toEqual([0, 1, 2]);
    ends[0]?.(false);
    ends[2]?.(false);
    await vi.advanceTimersByTimeAsync(0);
    ends[3]?.(false);
    await Promise.all(all);
    expect(begun).toEqual([0, 1, 2, 3]);
  });

  it("lets go at once who is called off while waiting, and nobody else", async () => {
    const pool = createPool(1);
    const begun: number[] = [];
    let end: () => void = () => undefined;
    const first = pool.run(() => new Promise<void>((resolve) => (end = resolve)));
    const control = new AbortController();
    const task = (n: number) => () => Promise.resolve(void begun.push(n));
    const second = pool.run(task(2), control.signal).catch((thrown: Failure) => thrown.problem.code);
    const third = pool.run(task(3));
    control.abort();
    expect(await second).toBe("network");
    end();
    await Promise.all([first, third]);
    expect(begun).toEqual([3]);
    await pool.run(task(4)); // its place is free again
    expect(begun).toEqual([3, 4]);
  });
});
