// What went wrong with a call: the problem to show, and whether another try can end otherwise.

import type { Problem, Stall } from "./types";

export class Failure extends Error {
  constructor(
    readonly problem: Problem,
    /** Of HTTP; 0: there was no answer. */
    readonly status: number,
  ) {
    super(problem.code);
  }
}

/** For answers that are not the application's own, such as a proxy's pages. */
const CODES: Record<number, string> = {
  401: "session_required",
  408: "request_timeout",
  413: "too_large",
  429: "rate_limited",
  500: "internal",
  502: "unavailable",
  503: "unavailable",
  504: "unavailable",
  507: "storage_full",
};

const TRANSIENT = new Set([0, 408, 423, 429, 500, 502, 503, 504]);
/** An upload in pieces stands elsewhere than was thought; the next attempt asks where. */
const TRANSIENT_CODES = new Set(["offset_mismatch"]);

function retryAfter(header: string | null): number | null {
  const seconds = Number(header ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : null;
}

/** A detail that is but the title, as a sentence, says no more than the code. */
function codeAndDetail(body: string): { code: unknown; detail: unknown } {
  try {
    const said = JSON.parse(body) as { code?: unknown; title?: unknown; detail?: unknown } | null;
    return { code: said?.code, detail: said?.detail === `${said?.title}.` ? "" : said?.detail };
  } catch {
    return { code: undefined, detail: undefined };
  }
}

/** An answer, from a server that has much to do. */
const BUSY = new Set([423, 429, 500, 503]);

export const stallOf = ({ status }: Failure): Stall => (BUSY.has(status) ? "busy" : "network");

/** Of an answer that is no success. */
export function failureOf(status: number, body: string, retryAfterHeader: string | null): Failure {
  const { code, detail } = codeAndDetail(body);
  const after = retryAfter(retryAfterHeader);
  return new Failure(
    {
      code: typeof code === "string" ? code : (CODES[status] ?? "unexpected"),
      detail: typeof detail === "string" ? detail : "",
      ...(after === null ? {} : { retryAfter: after }),
    },
    status,
  );
}

export const failureOfNetwork = () => new Failure({ code: "network", detail: "" }, 0);
export const failureOfAnswer = (status: number) => new Failure({ code: "unexpected", detail: "" }, status);

/** Whatever was thrown: what isn't a Failure is a fault of this page, and belongs into the console, too. */
export function asFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  console.error(thrown);
  return failureOfAnswer(0);
}

export function isTransient(failure: Failure): boolean {
  const { code } = failure.problem;
  return code !== "unexpected" && code !== "unreadable" && (TRANSIENT.has(failure.status) || TRANSIENT_CODES.has(code));
}
