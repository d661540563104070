// What time it is, for what the page says of times: moves once a minute, and when the page is looked at again.

import { signal, type ReadonlySignal } from "@preact/signals";
import type { Clock } from "./clock";
import type { Environment } from "./environment";

const MINUTE_MS = 60_000;

export interface Now {
  readonly time: ReadonlySignal<number>;
  start(): void;
}

export function createNow(env: Environment, clock: Clock): Now {
  const time = signal(clock.now());
  let timer: ReturnType<typeof setTimeout> | undefined;

  function tick(): void {
    clearTimeout(timer);
    time.value = clock.now();
    timer = setTimeout(tick, MINUTE_MS);
  }

  return {
    time,
    start() {
      env.document.addEventListener("visibilitychange", tick);
      env.window.addEventListener("pageshow", tick);
      tick();
    },
  };
}
