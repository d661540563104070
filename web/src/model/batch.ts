// All that is under way together: from when something begins until nothing runs any more. What has ended in the meantime counts as a whole, so that the
// percent don't fall with each file that is done.

import { effect, signal, type ReadonlySignal } from "@preact/signals";
import { isRunning, isUnderWay, type Items } from "./items";
import type { Item } from "./types";

export interface Overall {
  running: number;
  percent: number;
}

function percentOf(item: Item): number {
  if (!isUnderWay(item)) return 100;
  if (isRunning(item.phase)) return item.progress;
  return item.phase === "uploading" && item.size > 0 ? (100 * item.sent) / item.size : 0;
}

function overallOf(members: readonly Item[]): Overall {
  const running = members.filter(isUnderWay).length;
  if (running === 0) return { running, percent: 0 };
  return { running, percent: members.reduce((sum, item) => sum + percentOf(item), 0) / members.length };
}

/** `ended`: of its rows so many are completed, so many are not and won't be. */
export function watchBatch(items: Items, ended: (completed: number, failed: number) => void): ReadonlySignal<Overall> {
  const overall = signal<Overall>({ running: 0, percent: 0 });
  const keys = new Set<string>();

  effect(() => {
    for (const item of items.list.value) if (isUnderWay(item)) keys.add(item.key);
    const members = items.list.value.filter((item) => keys.has(item.key));
    const now = overallOf(members);
    const before = overall.peek();
    if (now.running !== before.running || now.percent !== before.percent) overall.value = now;
    if (now.running > 0 || keys.size === 0) return;
    keys.clear();
    const completed = members.filter(({ phase }) => phase === "completed").length;
    const failed = members.filter(({ phase }) => phase === "failed" || phase === "refused").length;
    if (completed + failed > 0) ended(completed, failed);
  });
  return overall;
}
