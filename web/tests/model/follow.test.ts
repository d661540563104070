// @vitest-environment node
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { at, completed, converting, createWorld, only, pass, problem, row, settle, uploaded, type Tab, type World } from "./world";

let world: World;
let tab: Tab;

beforeEach(async () => {
  world = createWorld();
  tab = await world.tab();
});
afterEach(() => {
  vi.useRealTimers();
});

const open = () => tab.streams.filter((stream) => stream.readyState !== 2);
const polls = () => world.server.of("/job_status");

/** Long polls are answered after their wait. */
function holdPolls(): void {
  world.server.answer = async (call) => {
    const wait = /wait=(\d+)/.exec(call.path);
    if (wait) await new Promise((resolve) => setTimeout(resolve, Number(wait[1]) * 1000));
    return undefined;
  };
}

describe("while nothing runs", () => {
  it("nothing is asked, for an hour", async () => {
    await uploaded(world, tab, "a.docx");
    const asked = world.server.calls.length;
    await pass(3_600_000);
    expect(world.server.calls.length).toBe(asked);
    expect(tab.streams).toEqual([]);
  });

  it("nothing is asked after the last has ended, either", async () => {
    await completed(world, tab, "a.docx", "pdf");
    const asked = world.server.calls.length;
    expect(open()).toEqual([]);
    await pass(3_600_000);
    tab.document.show("hidden");
    tab.document.show("visible");
    await settle();
    expect(world.server.calls.length).toBe(asked);
    expect(tab.streams.length).toBe(1);
  });
});

describe("while something runs", () => {
  it("there is one stream, and no polling", async () => {
    await converting(world, tab, "a.docx", "pdf");
    const { jobId } = await converting(world, tab, "b.docx", "pdf");
    for (let n = 0; n < 5; n++) {
      only(open()).say(world.server.change(jobId, { status: "processing", progress: n }));
      await pass(8_000);
    }
    expect(only(tab.streams).url).toBe("/events");
    expect(polls()).toEqual([]);
  });

  it("the stream also tells of rows that were taken away", async () => {
    const { key, jobId } = await converting(world, tab, "a.docx", "pdf");
    world.server.answer = (call) => (call.path === "/cancel" ? new Response(JSON.stringify(world.server.job(jobId)), { status: 202 }) : undefined);
    tab.model.remove(key);
    await settle();
    only(open()).say(world.server.complete(jobId));
    expect(only(tab.model.history.value).status).toBe("completed");
    await settle();
    expect(open()).toEqual([]);
  });
});

describe("what another client deletes", () => {
  it("is gone here, too", async () => {
    const { jobId } = await converting(world, tab, "a.docx", "pdf");
    await converting(world, tab, "b.docx", "pdf");
    only(open()).sayDeleted(jobId);
    await settle();
    expect(only(tab.model.items.value).name).toBe("b.docx");
    expect(only(tab.model.history.value).original_filename).toBe("b.docx");
    expect(world.server.of("/delete")).toEqual([]);
  });
});

describe("where streams fail", () => {
  it("jobs are asked for with a long wait, until an event comes again", async () => {
    holdPolls();
    const { key, jobId } = await converting(world, tab, "a.docx", "pdf");
    only(tab.streams).fail(false);
    await settle();
    expect(polls()).toEqual([]); // one failure is nothing yet
    only(tab.streams).fail(false);
    await settle();
    expect(only(polls()).path).toBe(`/job_status?job_id=${jobId}&wait=25`);
    world.server.change(jobId, { status: "processing", progress: 30 });
    await pass(25_001);
    expect(row(tab, key)).toMatchObject({ phase: "processing", progress: 30 });
    const asked = polls().length;
    expect(asked).toBe(2);
    only(open()).say(world.server.change(jobId, { progress: 40 }));
    await pass(50_000);
    expect(polls().length).toBe(asked);
    expect(row(tab, key).progress).toBe(40);
  });

  it("two are asked for at once, and with many nobody waits long for his turn", async () => {
    holdPolls();
    const jobs = [];
    for (const name of ["a", "b", "c", "d", "e"]) jobs.push((await converting(world, tab, `${name}.docx`, "pdf")).jobId);
    only(open()).fail(false);
    only(open()).fail(false);
    await settle();
    expect(polls().map((call) => /wait=\d+/.exec(call.path)?.[0])).toEqual(["wait=1", "wait=1"]);
    for (let n = 0; n < 3; n++) await pass(1_000);
    const asked = new Set(polls().map((call) => /job_id=([^&]*)/.exec(call.path)?.[1]));
    expect([...asked].sort()).toEqual([...jobs].sort());
  });

  it("a stream that is refused is opened again, later each time", async () => {
    holdPolls();
    await converting(world, tab, "a.docx", "pdf");
    for (let n = 0; n < 4; n++) {
      at(tab.streams, -1).fail(true);
      await pass(2 ** (n + 1) * 1000 - 1);
      expect(tab.streams.length).toBe(n + 1);
      await pass(1);
      expect(tab.streams.length).toBe(n + 2);
    }
  });

  it("a stream that says nothing (a proxy keeps it back) is no stream", async () => {
    holdPolls();
    await converting(world, tab, "a.docx", "pdf");
    await pass(9_999);
    expect(polls()).toEqual([]);
    await pass(1);
    expect(polls().length).toBe(1);
  });

  it("a stream that falls silent is opened anew", async () => {
    const { jobId } = await converting(world, tab, "a.docx", "pdf");
    only(tab.streams).say(world.server.job(jobId));
    await pass(59_000);
    expect(tab.streams.length).toBe(1);
    await pass(1_000);
    expect(tab.streams.length).toBe(2);
    expect(only(open())).toBe(tab.streams[1]);
    expect(polls()).toEqual([]);
  });

  it("a browser without them polls", async () => {
    world = createWorld();
    tab = await world.tab({ EventSource: undefined });
    holdPolls();
    const { key, jobId } = await converting(world, tab, "a.docx", "pdf");
    expect(polls().length).toBe(1);
    world.server.complete(jobId);
    await pass(25_000);
    expect(row(tab, key).phase).toBe("completed");
    await pass(600_000);
    expect(polls().length).toBe(1);
  });

  it("polls aren't asked without pause, where something answers them at once", async () => {
    world = createWorld();
    tab = await world.tab({ EventSource: undefined });
    await converting(world, tab, "a.docx", "pdf");
    await pass(10_000);
    expect(polls().length).toBe(21);
  });

  it("a poll that fails is asked again later, and not at once", async () => {
    world = createWorld();
    tab = await world.tab({ EventSource: undefined });
    world.server.answer = (call) => (call.path.startsWith("/job_status") ? problem(503, "unavailable", { "Retry-After": "2" }) : undefined);
    await converting(world, tab, "a.docx", "pdf");
    await pass(1_900);
    expect(polls().length).toBe(1);
    await pass(60_000);
    expect(polls().length).toBeGreaterThan(2);
    expect(polls().length).toBeLessThan(10);
  });

  it("a job that is gone is lost", async () => {
    world = createWorld();
    tab = await world.tab({ EventSource: undefined });
    holdPolls();
    const { key, jobId } = await converting(world, tab, "a.docx", "pdf");
    world.server.jobs.delete(jobId);
    await pass(25_000);
    expect(row(tab, key)).toMatchObject({ phase: "refused", jobId: null, problem: { code: "job_not_found" } });
    expect(only(tab.model.history.value)).toMatchObject({ lost: true, status: "failed" });
  });
});

describe("a page that was hidden", () => {
  it("opens a new stream when it is seen again, as the old one may be dead", async () => {
    const { jobId } = await converting(world, tab, "a.docx", "pdf");
    only(tab.streams).say(world.server.job(jobId));
    tab.document.show("hidden");
    await pass(5_000);
    tab.document.show("visible");
    expect(tab.streams.length).toBe(1); // that was short
    tab.document.show("hidden");
    vi.setSystemTime(Date.now() + 3_600_000); // the lid was closed: no timer ran
    tab.document.show("visible");
    expect(tab.streams.length).toBe(2);
    expect(only(open())).toBe(tab.streams[1]);
  });
});

describe("all together", () => {
  it("is told as one percentage, in which what has ended counts", async () => {
    const a = await converting(world, tab, "a.docx", "pdf");
    const b = await converting(world, tab, "b.docx", "pdf");
    only(open()).say(world.server.change(a.jobId, { status: "processing", progress: 50 }));
    expect(tab.model.overall.value).toEqual({ running: 2, percent: 25 });
    only(open()).say(world.server.complete(a.jobId));
    expect(tab.model.overall.value).toEqual({ running: 1, percent: 50 });
    only(open()).say(world.server.complete(b.jobId));
    expect(tab.model.overall.value).toEqual({ running: 0, percent: 0 });
  });
});

describe("a notification", () => {
  it("comes when all has ended, the page is hidden, and somebody asked for it", async () => {
    expect(tab.model.notifies.value).toBe(false);
    await tab.model.setNotifies(true);
    expect(tab.model.notifies.value).toBe(true);
    await completed(world, tab, "a.docx", "pdf");
    expect(tab.notifications).toEqual([]); // it was seen
    const b = await converting(world, tab, "b.docx", "pdf");
    const c = await converting(world, tab, "c.docx", "pdf");
    tab.document.show("hidden");
    only(open()).say(world.server.complete(b.jobId));
    expect(tab.notifications).toEqual([]);
    only(open()).say(world.server.change(c.jobId, { status: "failed", error_code: "corrupt_input" }));
    expect(tab.notifications).toEqual(["✓ 1  ✗ 1"]);
    await tab.model.setNotifies(false);
    const d = await converting(world, tab, "d.docx", "pdf");
    only(open()).say(world.server.complete(d.jobId));
    expect(tab.notifications.length).toBe(1);
  });
});
