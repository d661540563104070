// Desktop notifications: only when somebody has asked for them, and looks at something else.

import { signal, type ReadonlySignal } from "@preact/signals";
import type { Environment } from "./environment";

const KEY = "decant.notifies";

export interface Notify {
  readonly on: ReadonlySignal<boolean>;
  set(on: boolean): Promise<void>;
  ended(completed: number, failed: number): void;
}

export function createNotify(env: Environment): Notify {
  const allowed = () => env.Notification?.permission === "granted";
  const on = signal(allowed() && env.storage?.getItem(KEY) === "on");

  return {
    on,
    async set(wanted) {
      if (wanted && env.Notification && env.Notification.permission === "default") await env.Notification.requestPermission().catch(() => undefined);
      on.value = wanted && allowed();
      if (on.value) env.storage?.setItem(KEY, "on");
      else env.storage?.removeItem(KEY);
    },
    ended(completed, failed) {
      if (!on.value || !env.Notification || env.document.visibilityState === "visible" || !allowed()) return;
      const { title, body } = env.announce(completed, failed);
      try {
        new env.Notification(title, { body, tag: "decant" }); /* one, of however many tabs */
      } catch {
        /* Chrome on Android has it, and lets service workers alone use it. */
      }
    },
  };
}
