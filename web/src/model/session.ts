// The session: begun, known to end, begun anew; and whether the server can be reached, which is found out by the same call. While it can be, nothing is
// asked of it here; a call that got no answer makes this ask until there is one. Whose it is may change, here and in another tab: who signs in or out begins
// another session.

import { batch, signal, type ReadonlySignal } from "@preact/signals";
import type { Clock } from "./clock";
import type { Environment } from "./environment";
import { asFailure } from "./failure";
import type { Login } from "./login";
import type { Notices } from "./notices";
import { ownerOf, type Session } from "./types";
import { backoffMs, sleep } from "./waiting";

const MINUTE_MS = 60_000;
const ANNOUNCED_MS = 10 * MINUTE_MS;
/** A timer doesn't run while the computer sleeps: never trust one for longer. */
const LONGEST_WAIT_MS = 60 * MINUTE_MS;

export interface SessionListener {
  /** Is there anything that ends with the session? */
  holds(): boolean;
  /** Another session than before: what belonged to that one is gone. */
  replaced(session: Session): void;
  /** It is somebody else's, or the first one. */
  handedOver(session: Session): void;
}

export interface SessionKeeper {
  listener: SessionListener;
  readonly current: ReadonlySignal<Session | null>;
  readonly connection: ReadonlySignal<"starting" | "up" | "lost">;
  /** Resolves when there is a session. */
  start(): Promise<void>;
  /** Asks the server which session it is now; never rejects. False: there was no answer. */
  renew(): Promise<boolean>;
  /** For Api.listener */
  reached(answered: boolean): void;
  /** When the server can be reached, or the signal was given. */
  reachable(signal?: AbortSignal): Promise<void>;
  /** After POST /session/close. */
  closed(): Promise<void>;
  /** Takes the session that the task ends with, alone among all tabs. Rejects as the task does. */
  change(task: () => Promise<Session>): Promise<void>;
}

/** Two tabs that begin at once would each get a session, and one of them would have a token that isn't the cookie's. */
function alone<T>(env: Environment, task: () => Promise<T>): Promise<T> {
  return env.locks ? (env.locks.request("decant-session", task) as Promise<T>) : task();
}

export function createSession(env: Environment, login: Login, clock: Clock, notices: Notices): SessionKeeper {
  const current = signal<Session | null>(null);
  const connection = signal<"starting" | "up" | "lost">("starting");
  let asking: Promise<boolean> | null = null;
  let recovering: Promise<void> | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let announced = "";

  function take(session: Session): void {
    const before = current.value;
    // Nobody is to see the rows of the one beside the name of the other.
    batch(() => {
      login.is(session);
      current.value = session;
      if (!before || ownerOf(before) !== ownerOf(session)) {
        keeper.listener.handedOver(session);
        if (before?.account) notices.info("signed_out");
      } else if (!session.account && before.csrf_token !== session.csrf_token) {
        if (keeper.listener.holds()) notices.info("session_ended");
        keeper.listener.replaced(session);
      }
    });
    look();
  }

  /** False: no answer that is a session. */
  function ask(): Promise<boolean> {
    asking ??= alone(env, login.session)
      .then(
        (session) => {
          const taken = current.value && keeper.listener.holds();
          connection.value = "up";
          take(session);
          if (taken && session.account) notices.info("signed_in", { name: session.account.name });
          return true;
        },
        () => false,
      )
      .finally(() => {
        asking = null;
      });
    return asking;
  }

  async function pause(attempt: number): Promise<void> {
    const back = new AbortController();
    const wake = () => back.abort();
    env.window.addEventListener("online", wake);
    await sleep(backoffMs(attempt, env.random()), back.signal);
    env.window.removeEventListener("online", wake);
  }

  async function askUntilAnswered(): Promise<void> {
    for (let attempt = 0; !(await ask()); attempt++) {
      connection.value = "lost";
      await pause(attempt);
    }
  }

  function recover(): Promise<void> {
    recovering ??= askUntilAnswered().finally(() => {
      recovering = null;
    });
    return recovering;
  }

  /** How long is left? Announces the end, once, where there is something to lose. */
  function look(): void {
    const session = current.value;
    if (!session) return;
    const left = Date.parse(session.expires_at) - clock.now();
    clearTimeout(timer);
    if (left <= 0) {
      void recover();
      return;
    }
    let next = left - ANNOUNCED_MS;
    if (next <= 0) {
      if (announced !== session.csrf_token && keeper.listener.holds()) {
        announced = session.csrf_token;
        notices.info("session_ends_soon", { minutes: Math.ceil(left / MINUTE_MS), time: session.expires_at });
      }
      next = announced === session.csrf_token ? left : Math.min(left, MINUTE_MS);
    }
    timer = setTimeout(look, Math.min(next, LONGEST_WAIT_MS));
  }

  const keeper: SessionKeeper = {
    listener: { holds: () => false, replaced: () => undefined, handedOver: () => undefined },
    current,
    connection,
    start() {
      env.document.addEventListener("visibilitychange", look);
      env.window.addEventListener("pageshow", look);
      return recover();
    },
    renew: ask,
    reached(answered) {
      if (answered) connection.value = "up";
      else void recover();
    },
    async reachable(signal) {
      if (!recovering) return;
      let stop: () => void = () => undefined;
      const called = new Promise<void>((resolve) => {
        stop = resolve;
        signal?.addEventListener("abort", stop);
      });
      await Promise.race([recovering, called]);
      signal?.removeEventListener("abort", stop);
    },
    closed: recover,
    async change(task) {
      try {
        take(await alone(env, task));
      } catch (thrown) {
        if (asFailure(thrown).status === 0) void recover(); /* and whose it is, as that may have changed all the same */
        throw thrown;
      }
    },
  };
  return keeper;
}
