// @vitest-environment node
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { at, completed, converting, createWorld, DAY_S, file, only, pass, problem, row, settle, uploaded, type Tab, type World } from "./world";

let world: World;
let tab: Tab;

beforeEach(async () => {
  world = createWorld();
  tab = await world.tab();
});
afterEach(() => {
  vi.useRealTimers();
});

const notices = () => tab.model.notices.value.map((notice) => [notice.text, notice.values]);
const MINUTE = 60_000;
const DAY = DAY_S * 1000;

describe("the end of a session", () => {
  it("is announced ten minutes before, once, and said when it is there", async () => {
    const { key } = await completed(world, tab, "a.docx", "pdf");
    await pass(DAY - 10 * MINUTE - 1);
    expect(notices()).toEqual([]);
    await pass(1);
    expect(notices()).toEqual([["session_ends_soon", { minutes: 10, time: tab.model.session.value?.expires_at }]]);
    tab.model.dismiss(only(tab.model.notices.value));
    tab.document.show("visible");
    await pass(10 * MINUTE - 1);
    expect(notices()).toEqual([]);
    world.server.endSession();
    await pass(1);
    expect(notices()).toEqual([["session_ended", {}]]);
    expect(row(tab, key)).toMatchObject({ phase: "refused", jobId: null, problem: { code: "session_required" } });
    expect(only(tab.model.history.value)).toMatchObject({ lost: false, status: "completed" }); // it has expired, as it should
    expect(tab.model.session.value?.csrf_token).toBe(world.server.session?.csrf_token);
  });

  it("ends what ran without a row, too", async () => {
    const { key, jobId } = await converting(world, tab, "a.docx", "pdf");
    world.server.answer = (call) => (call.path === "/cancel" ? problem(500, "internal") : undefined);
    tab.model.remove(key);
    await settle();
    expect(only(tab.model.history.value)).toMatchObject({ job_id: jobId, status: "queued" });
    world.server.endSession();
    vi.setSystemTime(Date.now() + 2 * DAY);
    tab.document.show("visible");
    await settle();
    expect(only(tab.model.history.value)).toMatchObject({ status: "failed", error_code: "session_required", lost: false });
    expect(at(tab.streams, -1).readyState).toBe(2);
  });

  it("is no news where there is nothing to lose", async () => {
    await pass(DAY - 1);
    world.server.endSession();
    await pass(10_000);
    expect(notices()).toEqual([]);
    expect(tab.model.session.value?.csrf_token).toBe(world.server.session?.csrf_token);
  });

  it("is announced for a result whose row was taken away, too", async () => {
    const { key } = await completed(world, tab, "a.docx", "pdf");
    tab.model.remove(key);
    await pass(DAY - 10 * MINUTE);
    expect(notices()).toEqual([["session_ends_soon", { minutes: 10, time: tab.model.session.value?.expires_at }]]);
  });

  it("is announced for what comes in the last minutes, too", async () => {
    await pass(DAY - 5 * MINUTE);
    await uploaded(world, tab, "a.docx");
    await pass(MINUTE);
    expect(notices()).toEqual([["session_ends_soon", { minutes: 4, time: tab.model.session.value?.expires_at }]]);
  });

  it("is noticed by a computer that slept over it", async () => {
    await completed(world, tab, "a.docx", "pdf");
    world.server.endSession();
    vi.setSystemTime(Date.now() + 2 * DAY);
    tab.document.show("visible");
    await settle();
    expect(notices()).toEqual([["session_ended", {}]]);
  });

  it("isn't asked for again and again, where the server sees it otherwise", async () => {
    await uploaded(world, tab, "a.docx");
    await pass(DAY - 1);
    const asked = world.server.of("/session/init").length;
    await pass(10 * MINUTE);
    expect(world.server.of("/session/init").length - asked).toBeLessThan(15);
  });
});

describe("the time", () => {
  it("is the server's, and moves by the minute", async () => {
    world = createWorld();
    world.server.aheadMs = 3 * DAY;
    tab = await world.tab();
    const begun = tab.model.now.value;
    expect(begun).toBe(Date.parse(world.server.time()));
    await pass(MINUTE - 1);
    expect(tab.model.now.value).toBe(begun);
    await pass(1);
    expect(tab.model.now.value).toBe(begun + MINUTE);
  });

  it("is right again when the page is looked at", async () => {
    vi.setSystemTime(Date.now() + 3 * MINUTE);
    tab.document.show("visible");
    expect(tab.model.now.value).toBe(Date.now());
  });
});

describe("a session that ended before its time", () => {
  it("is begun anew at the first 401, and what it had is lost", async () => {
    const a = await completed(world, tab, "a.docx", "pdf");
    const b = await uploaded(world, tab, "b.docx");
    world.server.endSession();
    tab.model.setTarget(b.key, "pdf");
    tab.model.convert(b.key);
    await settle();
    for (const { key } of [a, b]) expect(row(tab, key)).toMatchObject({ phase: "refused", problem: { code: "session_required" } });
    expect(only(tab.model.history.value)).toMatchObject({ job_id: a.jobId, lost: true });
    expect(tab.model.session.value?.csrf_token).toBe(world.server.session?.csrf_token);
    tab.model.retry(b.key); // the file is at hand
    await settle();
    expect(row(tab, b.key)).toMatchObject({ phase: "uploading", target: "pdf" });
  });

  it("is asked about once, however many calls find out", async () => {
    for (const name of ["a", "b", "c", "d"]) await uploaded(world, tab, `${name}.docx`);
    const asked = world.server.of("/session/init").length;
    world.server.endSession();
    tab.model.setTargetForAll("pdf");
    tab.model.convertAll();
    await settle();
    expect(world.server.of("/session/init").length - asked).toBeLessThanOrEqual(2);
  });
});

describe("a token of another session", () => {
  it("is replaced, and the call made again", async () => {
    const session = world.server.init();
    world.server.session = { ...session, csrf_token: "csrf-other" };
    const { job_id: jobId } = world.server.upload("a.docx", 10);
    expect(await tab.model.downloadLink(jobId)).toMatch(/token=/);
    expect(world.server.of("/download_token").map((call) => call.csrf)).toEqual([session.csrf_token, "csrf-other"]);
  });
});

describe("to delete everything", () => {
  it("closes the session, empties page and history, and begins anew", async () => {
    await completed(world, tab, "a.docx", "pdf");
    tab.model.add([file("b.docx")]);
    await settle();
    const before = tab.model.session.value?.csrf_token;
    await tab.model.deleteEverything();
    await settle();
    expect(world.server.of("/session/close").length).toBe(1);
    expect(tab.model.items.value).toEqual([]);
    expect(tab.model.history.value).toEqual([]);
    expect(at(tab.xhrs, -1).aborted).toBe(true);
    expect(tab.model.session.value?.csrf_token).not.toBe(before);
    expect(notices()).toEqual([["deleted_everything", {}]]);
    tab.model.add([file("c.docx")]);
    expect(notices()).toEqual([]);
    tab = await world.tab();
    expect(tab.model.history.value).toEqual([]);
    expect(tab.model.items.value).toEqual([]);
  });

  it("deletes nothing here while it can't be done there", async () => {
    await completed(world, tab, "a.docx", "pdf");
    world.server.answer = (call) => (call.path === "/session/close" ? problem(503, "unavailable") : undefined);
    await tab.model.deleteEverything();
    expect(tab.model.items.value.length).toBe(1);
    expect(tab.model.history.value.length).toBe(1);
    expect(only(tab.model.notices.value)).toMatchObject({ kind: "problem", problem: { code: "unavailable" } });
  });

  it("is done, where the session is over", async () => {
    await completed(world, tab, "a.docx", "pdf");
    world.server.endSession();
    await tab.model.deleteEverything();
    expect(tab.model.items.value).toEqual([]);
    expect(tab.model.history.value).toEqual([]);
  });
});

describe("an answer that nobody understands", () => {
  it("is said to be one", async () => {
    const { key } = await uploaded(world, tab, "a.docx");
    tab.model.setTarget(key, "pdf");
    world.server.answer = (call) => (call.path === "/convert" ? new Response("<html>a portal</html>") : undefined);
    tab.model.convert(key);
    await settle();
    expect(row(tab, key)).toMatchObject({ phase: "ready", problem: { code: "unexpected" } });
  });
});

describe("two tabs", () => {
  let other: Tab;

  beforeEach(async () => {
    other = await world.tab();
  });

  it("have the same rows, and follow what the other has begun", async () => {
    const { key, jobId } = await uploaded(world, tab, "a.docx");
    expect(only(other.model.items.value)).toMatchObject({ jobId, phase: "ready", target: "pdf" });
    tab.model.setTarget(key, "png");
    tab.model.setOption(key, "dpi", 300);
    tab.model.setOption(key, "password", "hidden");
    await settle();
    expect(only(other.model.items.value)).toMatchObject({ target: "png", options: { dpi: 300 } });
    tab.model.convert(key);
    await settle();
    expect(only(other.model.items.value).phase).toBe("queued");
    only(other.streams).say(world.server.complete(jobId));
    await settle();
    expect(only(other.model.items.value)).toMatchObject({ phase: "completed", job: { output: { filename: "result.png" } } });
    expect(only(other.model.history.value).status).toBe("completed");
  });

  it("keep a password that was typed here", async () => {
    const { key } = await uploaded(world, tab, "a.docx");
    const { key: there } = only(other.model.items.value);
    other.model.setTarget(there, "png");
    other.model.setOption(there, "password", "typed");
    tab.model.setTarget(key, "png");
    tab.model.setOption(key, "dpi", 300);
    await settle();
    expect(only(other.model.items.value).options).toEqual({ password: "typed", dpi: 300 });
  });

  it("don't answer one another forever", async () => {
    const { key } = await converting(world, tab, "a.docx", "pdf");
    const changes: unknown[] = [];
    const stop = other.model.history.subscribe((list) => changes.push(list));
    tab.model.remove(key);
    await settle();
    stop();
    expect(changes.length).toBeLessThan(6);
    expect(other.model.items.value).toEqual([]);
  });

  it("aren't misled by what the other told before it heard of the end", async () => {
    const { jobId } = await converting(world, tab, "a.docx", "pdf");
    const running = world.server.change(jobId, { status: "processing", progress: 9 });
    only(other.streams).say(world.server.complete(jobId));
    await settle();
    only(tab.streams).say(running); // is told to the other tab, which knows better
    await settle();
    expect(only(other.model.items.value).phase).toBe("completed");
    expect(only(other.model.history.value).status).toBe("completed");
  });

  it("lose together what the server has no more", async () => {
    const { key, jobId } = await completed(world, tab, "a.docx", "pdf");
    only(other.streams).say(world.server.job(jobId));
    world.server.endSession();
    await tab.model.downloadLink(jobId);
    await settle();
    for (const items of [tab.model.items.value, other.model.items.value])
      expect(only(items)).toMatchObject({ phase: "refused", problem: { code: "session_required" } });
    expect(only(other.model.history.value).lost).toBe(true);
    expect(key).toBe(only(tab.model.items.value).key);
  });

  it("forget together", async () => {
    const { key, jobId } = await completed(world, tab, "a.docx", "pdf");
    tab.model.remove(key);
    await settle();
    expect(other.model.history.value.length).toBe(1);
    await other.model.forget(jobId);
    await settle();
    expect(tab.model.history.value).toEqual([]);
  });

  it("delete together", async () => {
    const { key } = await completed(world, tab, "a.docx", "pdf");
    await settle();
    await tab.model.delete(key);
    await settle();
    expect(other.model.items.value).toEqual([]);
    expect(other.model.history.value).toEqual([]);
  });

  it("are told when the other clears the history, and not when nothing could be deleted", async () => {
    const { key } = await completed(world, tab, "a.docx", "pdf");
    tab.model.remove(key);
    world.server.answer = ({ path }) => (path.startsWith("/delete") ? problem(500, "internal") : undefined);
    await tab.model.forgetAll();
    await settle();
    expect(other.model.notices.value).toEqual([]);
    world.server.answer = () => undefined;
    await tab.model.forgetAll();
    await settle();
    expect(other.model.history.value).toEqual([]);
    expect(other.model.notices.value.map(({ text }) => text)).toEqual(["emptied"]);
  });

  it("share a link", async () => {
    const { jobId } = await completed(world, tab, "a.docx", "pdf");
    const link = await tab.model.downloadLink(jobId);
    await settle();
    expect(await other.model.downloadLink(jobId)).toBe(link);
  });

  it("run a failed conversion again in step", async () => {
    const { key, jobId } = await converting(world, tab, "a.docx", "pdf");
    const failed = world.server.change(jobId, { status: "failed", error_code: "timed_out" });
    only(tab.streams).say(failed);
    only(other.streams).say(failed);
    await settle();
    tab.model.retry(key);
    await settle();
    expect(only(other.model.items.value)).toMatchObject({ phase: "queued", problem: null });
    at(other.streams, -1).say(world.server.complete(jobId));
    expect(only(other.model.items.value).phase).toBe("completed");
  });

  it("come into one new session, when one of them deletes everything", async () => {
    await completed(world, tab, "a.docx", "pdf");
    other.model.add([file("b.docx")]);
    await settle();
    await tab.model.deleteEverything();
    await settle();
    expect(other.model.items.value).toEqual([]);
    expect(other.model.history.value).toEqual([]);
    expect(at(other.xhrs, -1).aborted).toBe(true);
    expect(other.model.session.value?.csrf_token).toBe(tab.model.session.value?.csrf_token);
    expect(other.model.notices.value.map(({ text }) => text)).toEqual(["emptied"]);
    expect(tab.model.notices.value.map(({ text }) => text)).toEqual(["deleted_everything"]);
    const { jobId } = await completed(world, tab, "c.docx", "pdf");
    other = await world.tab();
    expect(only(other.model.history.value).job_id).toBe(jobId);
  });
});

it("does without a channel, where a browser has none", async () => {
  world = createWorld();
  tab = await world.tab({ BroadcastChannel: undefined });
  const { key } = await completed(world, tab, "a.docx", "pdf");
  expect(row(tab, key).phase).toBe("completed");
});
