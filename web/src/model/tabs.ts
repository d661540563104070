// Two tabs in step: what one does to the history, the others do to their lists. What is told is written by who
// tells it (history.ts), soon if not yet: hearing changes memory alone.

import type { Environment } from "./environment";
import type { StoredEntry } from "./history-store";

export type Message =
  | { type: "put"; entry: StoredEntry }
  | { type: "forget"; jobIds: readonly string[] }
  /** On the server, too. */
  | { type: "deleted"; jobIds: readonly string[] }
  /** Many have been: for whoever looks at the other tabs. */
  | { type: "emptied" }
  /** All that there was is deleted; there may be another session. */
  | { type: "closed" }
  /** Somebody has signed in or out: the session is another one. */
  | { type: "handed_over" };

export interface Tabs {
  tell(message: Message): void;
  onMessage: (message: Message) => void;
}

const CHANNEL = "decant";

export function createTabs(env: Environment): Tabs {
  const channel = env.BroadcastChannel ? new env.BroadcastChannel(CHANNEL) : null;
  const tabs: Tabs = {
    tell: (message) => channel?.postMessage(message),
    onMessage: () => undefined,
  };
  channel?.addEventListener("message", (event: MessageEvent<Message>) => tabs.onMessage(event.data));
  return tabs;
}
