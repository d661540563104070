// What the model needs of the browser, in one place, so that tests can put something else there. What a browser may lack, or forbid in a private window, is
// undefined then, and the page does without.

export type Tus = Pick<typeof import("tus-js-client"), "Upload">;

export interface Environment {
  fetch(input: string, init?: RequestInit): Promise<Response>;
  XMLHttpRequest: new () => XMLHttpRequest;
  EventSource: (new (url: string) => EventSource) | undefined;
  BroadcastChannel: (new (name: string) => BroadcastChannel) | undefined;
  Notification:
    (Pick<typeof Notification, "permission" | "requestPermission"> & (new (title: string, options?: NotificationOptions) => Notification)) | undefined;
  /** Makes that two tabs begin one session between them. */
  locks: Pick<LockManager, "request"> | undefined;
  storage: Pick<Storage, "getItem" | "setItem" | "removeItem"> | undefined;
  /** Of this tab alone: outlives a reload. */
  tabStorage: Pick<Storage, "getItem" | "setItem" | "removeItem"> | undefined;
  /** A third of the page's code, which no small file needs: it is loaded when a file does. */
  tus(): Promise<Tus>;
  /** "online", "pageshow" */
  window: EventTarget;
  document: Document;
  now(): number;
  /** 0–1 */
  random(): number;
  /** Has the browser save what the address answers. */
  save(url: string): void;
  /** What the address says of that in its query, which loses it; null: nothing. */
  returnedBy(parameter: string): string | null;
  /** What a desktop notification says; without words by default. */
  announce(completed: number, failed: number): { title: string; body: string };
  /** What the format is called in the reader's language; `label` is what the server calls it, in English. */
  formatLabel(id: string, label: string): string;
}

function storage(name: "localStorage" | "sessionStorage"): Storage | undefined {
  try {
    return globalThis[name];
  } catch {
    return undefined; /* forbidden by the browser's settings */
  }
}

/** By a link, not by location: an error page would take the place of this one, and with it the uploads. */
function save(url: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = "";
  link.rel = "noopener";
  document.body.append(link);
  link.click();
  link.remove();
}

function returnedBy(parameter: string): string | null {
  const address = new URL(globalThis.location.href);
  const value = address.searchParams.get(parameter);
  if (value === null) return null;
  address.searchParams.delete(parameter);
  globalThis.history.replaceState(null, "", address.pathname + address.search + address.hash);
  return value;
}

export function browser(): Environment {
  return {
    fetch: (input, init) => globalThis.fetch(input, init),
    XMLHttpRequest: globalThis.XMLHttpRequest,
    EventSource: globalThis.EventSource,
    BroadcastChannel: globalThis.BroadcastChannel,
    Notification: globalThis.Notification,
    locks: globalThis.navigator?.locks,
    storage: storage("localStorage"),
    tabStorage: storage("sessionStorage"),
    tus: () => import("tus-js-client"),
    window: globalThis.window,
    document: globalThis.document,
    now: () => Date.now(),
    random: () => Math.random(),
    save,
    returnedBy,
    announce: (completed, failed) => ({ title: "Decant", body: failed > 0 ? `✓ ${completed}  ✗ ${failed}` : `✓ ${completed}` }),
    formatLabel: (_id, label) => label,
  };
}
