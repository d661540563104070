// The rows: a list that is replaced at each change, and never changed in place.

import { signal, type ReadonlySignal } from "@preact/signals";
import type { Environment } from "./environment";
import type { Item, Phase } from "./types";

const ENDED: ReadonlySet<string> = new Set(["completed", "failed", "cancelled"]);
const RUNNING: ReadonlySet<string> = new Set(["queued", "scanning", "processing"]);
const OPEN: ReadonlySet<Phase> = new Set(["waiting", "uploading", "ready"]);

const UNDER_WAY: ReadonlySet<Phase> = new Set(["waiting", "uploading", "starting", "stopping"]);

/** Converted, or not to be. */
export const isEnded = (status: string) => ENDED.has(status);
/** On the server, and not ended. */
export const isRunning = (status: string): status is "queued" | "scanning" | "processing" => RUNNING.has(status);
/** Its target can still be chosen. */
export const isOpen = (phase: Phase) => OPEN.has(phase);
export const isUnderWay = ({ phase }: Item) => UNDER_WAY.has(phase) || isRunning(phase);

export function newItem(key: string, about: Pick<Item, "name" | "size" | "format"> & Partial<Item>): Item {
  return {
    key,
    place: 0,
    phase: "waiting",
    target: null,
    options: {},
    secrets: [],
    sent: 0,
    progress: 0,
    stalled: null,
    wanted: false,
    problem: null,
    jobId: null,
    job: null,
    ...about,
  };
}

export interface Items {
  readonly list: ReadonlySignal<readonly Item[]>;
  get(key: string): Item | undefined;
  ofJob(jobId: string): Item | undefined;
  /** Behind the others, or where they have stood before: uploads don't end in the order in which they began. */
  add(items: readonly Item[]): void;
  /** Nothing where it isn't there any more. */
  update(key: string, change: Partial<Omit<Item, "key">>): void;
  remove(key: string): void;
  clear(): void;
  newKey(): string;
}

export function createItems(env: Pick<Environment, "now">): Items {
  const list = signal<readonly Item[]>([]);
  let keys = 0;
  let last = 0;

  function placed(item: Item): Item {
    const place = item.place || Math.max(env.now(), last + 1);
    last = Math.max(last, place);
    return place === item.place ? item : { ...item, place };
  }

  return {
    list,
    get: (key) => list.value.find((item) => item.key === key),
    ofJob: (jobId) => list.value.find((item) => item.jobId === jobId),
    add(items) {
      if (items.length > 0) list.value = [...list.value, ...items.map(placed)].sort((a, b) => a.place - b.place);
    },
    update(key, change) {
      const at = list.value.findIndex((item) => item.key === key);
      const old = list.value[at];
      if (old) list.value = [...list.value.slice(0, at), { ...old, ...change }, ...list.value.slice(at + 1)];
    },
    remove(key) {
      list.value = list.value.filter((item) => item.key !== key);
    },
    clear() {
      list.value = [];
    },
    newKey: () => `row-${++keys}`,
  };
}
