// @vitest-environment node
import { describe, expect, it, vi } from "vitest";
import { asSession, type Request } from "../../src/docs/session";

const answering = (status: number) => vi.fn(async () => new Response(JSON.stringify({ csrf_token: "t" }), { status }));
const call = (method: string, headers: Record<string, string> = {}): Request => ({ method, headers });

describe("a call that is tried", () => {
  it("has the session's token when it changes something", async () => {
    const get = answering(200);
    expect(await asSession(call("POST", { accept: "*/*" }), get)).toEqual(call("POST", { accept: "*/*", "X-CSRF-Token": "t" }));
    expect(get).toHaveBeenCalledExactlyOnceWith("/session/init");
  });

  it.each([call("GET"), call("HEAD"), { headers: {} }, call("POST", { Authorization: "Bearer x" }), call("DELETE", { "x-csrf-token": "own" })])(
    "goes out as it is otherwise: %o",
    async (request) => {
      const get = answering(200);
      expect(await asSession(structuredClone(request), get)).toEqual(request);
      expect(get).not.toHaveBeenCalled();
    },
  );

  it("says itself that there is no session to be had", async () => {
    expect(await asSession(call("POST"), answering(503))).toEqual(call("POST"));
  });
});
