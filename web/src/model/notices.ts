import { signal, type ReadonlySignal } from "@preact/signals";
import type { Failure } from "./failure";
import type { Notice } from "./model";

export interface Notices {
  readonly list: ReadonlySignal<readonly Notice[]>;
  info(text: string, values?: Record<string, string | number>): void;
  problem(failure: Failure): void;
  dismiss(notice: Notice): void;
  /** What they say is so no longer. */
  withdraw(...texts: readonly string[]): void;
  clear(): void;
}

export function createNotices(): Notices {
  const list = signal<readonly Notice[]>([]);
  // What is said already isn't said twice.
  const say = (notice: Notice) => {
    list.value = [...list.value.filter((other) => other.text !== notice.text), notice];
  };

  return {
    list,
    info: (text, values = {}) => say({ kind: "info", text, problem: null, values }),
    problem: ({ problem }) => say({ kind: "problem", text: problem.code, problem, values: {} }),
    dismiss(notice) {
      list.value = list.value.filter((other) => other !== notice);
    },
    withdraw(...texts) {
      list.value = list.peek().filter((notice) => !texts.includes(notice.text));
    },
    clear() {
      list.value = [];
    },
  };
}
