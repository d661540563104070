// A call that is tried goes out as the browser's session, unless it brings a token of its own: then nothing is added.

export interface Request {
  method?: string;
  url?: string;
  headers: Record<string, string>;
}

const INIT = "/session/init";

// A call that changes something needs the cookie, which the browser adds, and the token, which only the answer of INIT tells. It may be another one with each call: sessions
// are closed, too.
export async function asSession<R extends Request>(request: R, get: typeof fetch): Promise<R> {
  const names = Object.keys(request.headers).map((name) => name.toLowerCase());
  // To look at an upload in pieces may complete it.
  const reads = ["GET", "HEAD"].includes(request.method ?? "GET") && !request.url?.includes("/files/");
  if (reads || names.includes("authorization") || names.includes("x-csrf-token")) return request;
  const answer = await get(INIT);
  // The call says itself what is wrong then.
  if (answer.ok) request.headers["X-CSRF-Token"] = (await answer.json()).csrf_token;
  return request;
}
