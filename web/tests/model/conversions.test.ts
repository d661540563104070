// @vitest-environment node
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { at, completed, converting, createWorld, file, only, pass, problem, row, settle, stored, uploaded, type Tab, type World } from "./world";

let world: World;
let tab: Tab;

beforeEach(async () => {
  world = createWorld();
  tab = await world.tab();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a conversion", () => {
  it("is asked for with what differs from the defaults, and followed to its end", async () => {
    const { key, jobId } = await uploaded(world, tab, "a.docx");
    tab.model.setTarget(key, "png");
    tab.model.setOption(key, "dpi", 150);
    tab.model.setOption(key, "password", "hidden");
    tab.model.convert(key);
    await settle();
    expect(only(world.server.of("/convert")).body).toEqual({ job_id: jobId, target_format: "png", options: { password: "hidden" } });
    expect(row(tab, key).phase).toBe("queued");
    only(tab.streams).say(world.server.change(jobId, { status: "processing", progress: 40 }));
    expect(row(tab, key)).toMatchObject({ phase: "processing", progress: 40 });
    only(tab.streams).say(world.server.complete(jobId));
    expect(row(tab, key)).toMatchObject({ phase: "completed", progress: 100, job: { output: { filename: "result.png" } } });
  });

  it("begins by itself after the upload, when it was wanted before", async () => {
    tab.model.add([file("a.docx")]);
    await settle();
    const { key } = only(tab.model.items.value);
    tab.model.setTarget(key, "pdf");
    tab.model.convert(key);
    expect(row(tab, key)).toMatchObject({ phase: "uploading", wanted: true });
    expect(world.server.of("/convert")).toEqual([]);
    only(tab.xhrs).say(201, world.server.upload("a.docx", 10));
    await settle();
    expect(row(tab, key)).toMatchObject({ phase: "queued", wanted: false });
  });

  it("isn't asked for with an option that can't be", async () => {
    const { key } = await uploaded(world, tab, "a.docx");
    tab.model.setTarget(key, "png");
    tab.model.setOption(key, "dpi", 7);
    tab.model.convert(key);
    await settle();
    expect(world.server.of("/convert")).toEqual([]);
    expect(row(tab, key)).toMatchObject({ phase: "ready", problem: { code: "bad_option", detail: "dpi", label: "Resolution" } });
    tab.model.setOption(key, "dpi", 300);
    tab.model.convert(key);
    await settle();
    expect(row(tab, key)).toMatchObject({ phase: "queued", problem: null });
  });

  it("that is refused says why, and can be asked for again", async () => {
    const { key } = await uploaded(world, tab, "a.docx");
    tab.model.setTarget(key, "pdf");
    world.server.answer = (call) => (call.path === "/convert" ? problem(400, "bad_request") : undefined);
    tab.model.convert(key);
    await settle();
    expect(row(tab, key)).toMatchObject({ phase: "ready", problem: { code: "bad_request", detail: "says bad_request" } });
    world.server.answer = () => undefined;
    tab.model.convert(key);
    await settle();
    expect(row(tab, key)).toMatchObject({ phase: "queued", problem: null });
  });

  it("never goes back in its percent, though another try begins at none", async () => {
    const { key, jobId } = await converting(world, tab, "a.docx", "pdf");
    const stream = only(tab.streams);
    stream.say(world.server.change(jobId, { status: "processing", progress: 60 }));
    stream.say(world.server.change(jobId, { status: "queued", progress: 0 }));
    expect(row(tab, key)).toMatchObject({ phase: "queued", progress: 60 });
  });

  it("isn't begun again by what comes late", async () => {
    const { key, jobId } = await converting(world, tab, "a.docx", "pdf");
    const late = { ...world.server.job(jobId), status: "uploaded", task_id: null } as const;
    only(tab.streams).say(late);
    expect(row(tab, key).phase).toBe("queued");
    const running = world.server.change(jobId, { status: "processing", progress: 50 });
    only(tab.streams).say(world.server.complete(jobId));
    only(tab.streams).say(running);
    expect(row(tab, key).phase).toBe("completed");
  });
});

describe("an answer that is lost", () => {
  it("doesn't make two conversions of one", async () => {
    const { key, jobId } = await uploaded(world, tab, "a.docx");
    tab.model.setTarget(key, "pdf");
    world.server.answer = (call) => {
      if (call.path !== "/convert") return undefined;
      world.server.answer = () => undefined;
      world.server.change(jobId, { status: "processing", task_id: "t", target_format: "pdf", progress: 30 });
      return "lost";
    };
    tab.model.convert(key);
    await pass(10_000);
    expect(world.server.of("/convert").length).toBe(2); // the second gets a 409
    expect(row(tab, key)).toMatchObject({ phase: "processing", progress: 30, problem: null });
  });

  it("of a job that another tab converts is no error", async () => {
    const { key, jobId } = await uploaded(world, tab, "a.docx");
    tab.model.setTarget(key, "pdf");
    world.server.change(jobId, { status: "queued", task_id: "t", target_format: "txt" });
    tab.model.convert(key);
    await settle();
    expect(row(tab, key)).toMatchObject({ phase: "queued", target: "txt", problem: null });
  });
});

describe("more conversions than may wait", () => {
  it("are asked for until they are taken, four at a time", async () => {
    for (const name of ["a", "b", "c", "d", "e", "f"]) await uploaded(world, tab, `${name}.docx`);
    tab.model.setTargetForAll("pdf");
    world.server.answer = (call) => (call.path === "/convert" ? problem(429, "rate_limited", { "Retry-After": "5" }) : undefined);
    tab.model.convertAll();
    await settle();
    expect(world.server.of("/convert").length).toBe(4);
    expect(tab.model.items.value.filter((item) => item.stalled === "busy").length).toBe(4);
    await pass(3_600_000);
    expect(tab.model.items.value.every((item) => item.phase === "starting")).toBe(true);
    world.server.answer = () => undefined;
    await pass(60_000);
    expect(tab.model.items.value.map((item) => item.phase)).toEqual(Array(6).fill("queued"));
    expect(tab.model.items.value.some((item) => item.stalled)).toBe(false);
  });

  it("can be called off while they are asked for", async () => {
    const { key } = await uploaded(world, tab, "a.docx");
    tab.model.setTarget(key, "pdf");
    world.server.answer = (call) => (call.path === "/convert" ? problem(429, "rate_limited") : undefined);
    tab.model.convert(key);
    await settle();
    tab.model.cancel(key);
    await settle();
    expect(row(tab, key)).toMatchObject({ phase: "ready", stalled: null, problem: null });
    const asked = world.server.of("/convert").length;
    await pass(600_000);
    expect(world.server.of("/convert").length).toBe(asked);
  });
});

describe("a row behind those that are asked for", () => {
  it("leaves the line at once when it is called off", async () => {
    for (const name of ["a", "b", "c", "d", "e", "f"]) await uploaded(world, tab, `${name}.docx`);
    tab.model.setTargetForAll("pdf");
    world.server.answer = (call) => (call.path === "/convert" ? problem(429, "rate_limited", { "Retry-After": "600" }) : undefined);
    tab.model.convertAll();
    await settle();
    const fifth = at(tab.model.items.value, 4);
    tab.model.cancel(fifth.key);
    await settle();
    expect(row(tab, fifth.key)).toMatchObject({ phase: "ready", problem: null });
    world.server.answer = () => undefined;
    await pass(1_200_000);
    expect(tab.model.items.value.map((item) => item.phase)).toEqual(["queued", "queued", "queued", "queued", "ready", "queued"]);
  });
});

describe("targets", () => {
  it("are set for all that can become them, and aren't converted yet", async () => {
    const a = await uploaded(world, tab, "a.docx");
    const b = await uploaded(world, tab, "b.png");
    const c = await completed(world, tab, "c.docx", "odt");
    tab.model.setTargetForAll("txt");
    expect([a, b, c].map(({ key }) => row(tab, key).target)).toEqual(["txt", "jpg", "odt"]);
  });

  it("are set for all in one change of the list", async () => {
    for (const name of ["a", "b", "c"]) await uploaded(world, tab, `${name}.docx`);
    let changes = -1; // the first is that it is looked at
    const end = tab.model.items.subscribe(() => changes++);
    tab.model.setTargetForAll("txt");
    end();
    expect(changes).toBe(1);
  });

  it("keep the options that they have, too", async () => {
    const { key } = await uploaded(world, tab, "a.docx");
    tab.model.setTarget(key, "png");
    tab.model.setOption(key, "dpi", 300);
    tab.model.setOption(key, "password", "x");
    tab.model.setTarget(key, "pdf");
    expect(row(tab, key).options).toEqual({ password: "x" });
    tab.model.setOption(key, "password", null);
    expect(row(tab, key).options).toEqual({});
  });
});

describe("cancel", () => {
  it("stops a conversion, and waits until it has stopped", async () => {
    const { key, jobId } = await converting(world, tab, "a.docx", "pdf");
    const stopping = () => new Response(JSON.stringify(world.server.change(jobId, { status: "processing", progress: 5 })), { status: 202 });
    world.server.answer = (call) => (call.path === "/cancel" ? stopping() : undefined);
    tab.model.cancel(key);
    await settle();
    expect(row(tab, key).phase).toBe("stopping");
    expect(tab.model.overall.value.running).toBe(1);
    expect(only(tab.streams).readyState).not.toBe(2);
    only(tab.streams).say(world.server.change(jobId, { progress: 6 }));
    expect(row(tab, key).phase).toBe("stopping");
    only(tab.streams).say(world.server.change(jobId, { status: "cancelled", error_code: "cancelled_by_user" }));
    expect(row(tab, key)).toMatchObject({ phase: "cancelled", problem: null });
  });

  it("comes too late for what has ended", async () => {
    const { key, jobId } = await converting(world, tab, "a.docx", "pdf");
    world.server.complete(jobId);
    tab.model.cancel(key);
    await settle();
    expect(row(tab, key)).toMatchObject({ phase: "completed", problem: null });
  });

  it("that fails says so, and the conversion goes on", async () => {
    const { key, jobId } = await converting(world, tab, "a.docx", "pdf");
    world.server.answer = (call) => (call.path === "/cancel" ? problem(500, "internal") : undefined);
    tab.model.cancel(key);
    await settle();
    expect(row(tab, key)).toMatchObject({ phase: "queued", problem: { code: "internal" } });
    only(tab.streams).say(world.server.complete(jobId));
    expect(row(tab, key)).toMatchObject({ phase: "completed", problem: null });
  });

  it("waits as well, where it came while the conversion was asked for", async () => {
    const { key, jobId } = await uploaded(world, tab, "a.docx");
    tab.model.setTarget(key, "pdf");
    let go: () => void = () => undefined;
    const held = new Promise<undefined>((resolve) => (go = () => resolve(undefined)));
    const stopping = () => new Response(JSON.stringify(world.server.change(jobId, { status: "processing", progress: 5 })), { status: 202 });
    world.server.answer = (call) => (call.path === "/convert" ? held : call.path === "/cancel" ? stopping() : undefined);
    tab.model.convert(key);
    await settle();
    tab.model.cancel(key);
    go();
    await settle();
    only(tab.streams).say(world.server.change(jobId, { progress: 6 }));
    expect(row(tab, key).phase).toBe("stopping");
    only(tab.streams).say(world.server.change(jobId, { status: "cancelled", error_code: "cancelled_by_user" }));
    expect(row(tab, key).phase).toBe("cancelled");
  });

  it("finds a conversion whose beginning nobody has heard of", async () => {
    const { key, jobId } = await uploaded(world, tab, "a.docx");
    tab.model.setTarget(key, "pdf");
    world.server.answer = (call) => {
      if (call.path !== "/convert") return undefined;
      world.server.change(jobId, { status: "queued", task_id: "t", target_format: "pdf" });
      return "lost";
    };
    tab.model.convert(key);
    await settle();
    expect(row(tab, key)).toMatchObject({ phase: "starting", stalled: "network" });
    tab.model.cancel(key);
    await settle();
    expect(world.server.job(jobId).status).toBe("cancelled");
    expect(row(tab, key).phase).toBe("cancelled");
  });

  it("leaves a failed job that was to run again as it was", async () => {
    const { key, jobId } = await converting(world, tab, "a.docx", "pdf");
    only(tab.streams).say(world.server.change(jobId, { status: "failed", error_code: "timed_out" }));
    world.server.answer = (call) => (call.path === "/retry" ? problem(503, "unavailable") : undefined);
    tab.model.retry(key);
    await settle();
    tab.model.cancel(key);
    await settle();
    expect(row(tab, key)).toMatchObject({ phase: "failed", problem: { code: "timed_out" }, stalled: null });
  });

  it("is remembered, when it comes while the conversion is asked for", async () => {
    const { key, jobId } = await uploaded(world, tab, "a.docx");
    tab.model.setTarget(key, "pdf");
    tab.model.convert(key);
    tab.model.cancel(key);
    await settle();
    expect(world.server.job(jobId).status).not.toBe("queued");
    expect(["ready", "cancelled"]).toContain(row(tab, key).phase);
  });
});

describe("retry", () => {
  it("runs a failed job again, with a password", async () => {
    const { key, jobId } = await converting(world, tab, "a.docx", "pdf");
    const failed = world.server.change(jobId, { status: "failed", progress: 20, error_code: "password_required", error_message: "protected" });
    only(tab.streams).say(failed);
    expect(row(tab, key)).toMatchObject({ phase: "failed", problem: { code: "password_required", detail: "protected" } });
    tab.model.retry(key, { password: "x" });
    await settle();
    expect(only(world.server.of("/retry")).body).toEqual({ job_id: jobId, options: { password: "x" } });
    expect(row(tab, key)).toMatchObject({ phase: "queued", progress: 0, problem: null });
    at(tab.streams, -1).say(failed); // from before
    expect(row(tab, key).phase).toBe("queued");
    at(tab.streams, -1).say(world.server.complete(jobId));
    expect(row(tab, key).phase).toBe("completed");
  });

  it("has nothing to send again of a file that an earlier page has sent", async () => {
    const { key } = await uploaded(world, tab, "a.docx");
    tab = await world.tab();
    const restored = only(tab.model.items.value);
    world.server.endSession();
    tab.model.setTarget(restored.key, "pdf");
    tab.model.convert(restored.key);
    await settle();
    tab.model.retry(restored.key);
    expect(only(tab.model.items.value)).toMatchObject({ phase: "refused", problem: { code: "unreadable" } });
    expect(key).toBeTruthy();
  });
});

describe("many into one", () => {
  it("are sent in the order of the rows, and the first has the result", async () => {
    const a = await uploaded(world, tab, "a.pdf");
    const b = await uploaded(world, tab, "b.docx");
    await uploaded(world, tab, "c.gz");
    const d = await uploaded(world, tab, "d.png");
    tab.model.mergeAll("pdf");
    await settle();
    expect(only(world.server.of("/convert")).body).toEqual({ job_ids: [a.jobId, b.jobId, d.jobId], target_format: "pdf", options: {} });
    expect(tab.model.items.value.map((item) => item.phase)).toEqual(["queued", "ready", "ready", "ready"]);
  });

  it("have the options of the whole: what only one of them has isn't sent", async () => {
    const { key } = await uploaded(world, tab, "a.docx");
    await uploaded(world, tab, "b.pdf");
    tab.model.setTarget(key, "png");
    tab.model.setOption(key, "dpi", 300);
    tab.model.mergeAll("pdf");
    await settle();
    expect(only(world.server.of("/convert")).body["options"]).toEqual({});
  });

  it("are protected by the password that any of them was to have", async () => {
    const { key: first, jobId } = await uploaded(world, tab, "a.pdf");
    const { key } = await uploaded(world, tab, "b.docx");
    tab.model.setTarget(first, "pdf");
    tab.model.setOption(first, "pages", "1-3");
    tab.model.setOption(key, "new_password", "x");
    tab.model.mergeAll("pdf");
    await settle();
    expect(only(world.server.of("/convert")).body["options"]).toEqual({ pages: "1-3", new_password: "x" });
    only(tab.streams).say(world.server.change(jobId, { status: "failed", error_code: "timed_out" }));
    tab.model.retry(first);
    await settle();
    expect(only(world.server.of("/retry")).body["options"]).toEqual({ pages: "1-3", new_password: "x" });
  });

  it("can't be locked", async () => {
    await uploaded(world, tab, "a.pdf");
    const { key } = await uploaded(world, tab, "b.docx");
    tab.model.setOption(key, "password", "x");
    tab.model.mergeAll("pdf");
    await settle();
    expect(world.server.of("/convert")).toEqual([]);
    expect(row(tab, key)).toMatchObject({ phase: "ready", problem: { code: "merge_locked" } });
    tab.model.setOption(key, "password", null);
    expect(row(tab, key).problem).toBeNull();
    tab.model.mergeAll("pdf");
    await settle();
    expect(world.server.of("/convert").length).toBe(1);
  });

  it("are a hundred at most", async () => {
    for (let n = 0; n < 101; n++) await uploaded(world, tab, `${n}.pdf`);
    tab.model.mergeAll("pdf");
    await settle();
    expect(world.server.of("/convert")).toEqual([]);
    const first = at(tab.model.items.value, 0);
    expect(first.problem?.code).toBe("too_many_to_merge");
    tab.model.remove(first.key);
    tab.model.mergeAll("pdf");
    await settle();
    expect((only(world.server.of("/convert")).body["job_ids"] as string[]).length).toBe(100);
  });

  it("need to be two", async () => {
    await uploaded(world, tab, "a.pdf");
    tab.model.mergeAll("pdf");
    await settle();
    expect(world.server.of("/convert")).toEqual([]);
  });
});

describe("remove", () => {
  it("takes the row, stops what runs, and keeps the history", async () => {
    const { key, jobId } = await converting(world, tab, "a.docx", "pdf");
    tab.model.remove(key);
    await settle();
    expect(tab.model.items.value).toEqual([]);
    expect(world.server.job(jobId).status).toBe("cancelled");
    expect(only(tab.model.history.value)).toMatchObject({ job_id: jobId, status: "cancelled" });
  });

  it("also where the server only learns of the conversion", async () => {
    const { key, jobId } = await uploaded(world, tab, "a.docx");
    tab.model.setTarget(key, "pdf");
    let go: () => void = () => undefined;
    const held = new Promise<undefined>((resolve) => (go = () => resolve(undefined)));
    world.server.answer = (call) => (call.path === "/convert" ? held : undefined);
    tab.model.convert(key);
    await settle();
    tab.model.remove(key);
    go();
    await settle();
    expect(world.server.job(jobId).status).toBe("cancelled");
  });
});

describe("delete", () => {
  it("takes the row, its line and the job", async () => {
    const { key } = await completed(world, tab, "a.docx", "pdf");
    await tab.model.delete(key);
    expect([tab.model.items.value, tab.model.history.value, world.server.jobs.size]).toEqual([[], [], 0]);
  });

  it("also of one that runs, without another call", async () => {
    const { key } = await converting(world, tab, "a.docx", "pdf");
    const stream = only(tab.streams);
    const deleted = tab.model.delete(key);
    expect(row(tab, key).phase).toBe("deleting");
    await deleted;
    await settle();
    expect(tab.model.items.value).toEqual([]);
    expect(world.server.of("/cancel")).toEqual([]);
    expect(stream.readyState).toBe(2);
  });

  it("keeps the row where the server is away, as it was or has become, and can be tried again", async () => {
    const { key, jobId } = await converting(world, tab, "a.docx", "pdf");
    world.server.answer = ({ path }) => (path === "/delete" ? "lost" : undefined);
    const deleted = tab.model.delete(key);
    at(tab.streams, -1).say(world.server.complete(jobId));
    expect(row(tab, key).phase).toBe("deleting");
    await deleted;
    expect(row(tab, key)).toMatchObject({ phase: "completed", problem: { code: "network" } });
    expect(tab.model.history.value.length).toBe(1);
    world.server.answer = () => undefined;
    await tab.model.delete(key);
    expect(tab.model.items.value).toEqual([]);
  });

  it("takes what isn't there any more for deleted", async () => {
    const { key, jobId } = await uploaded(world, tab, "a.docx");
    world.server.jobs.delete(jobId);
    await tab.model.delete(key);
    expect(tab.model.items.value).toEqual([]);
  });

  it("says that another conversion needs the file", async () => {
    const { key } = await uploaded(world, tab, "a.pdf");
    world.server.answer = ({ path }) => (path === "/delete" ? problem(409, "wrong_state") : undefined);
    await tab.model.delete(key);
    expect(row(tab, key)).toMatchObject({ phase: "ready", problem: { code: "file_needed" } });
  });

  it("calls a conversion off that the server has not heard of", async () => {
    const { key, jobId } = await uploaded(world, tab, "a.docx");
    world.server.answer = ({ path }) => (path === "/convert" ? problem(429, "rate_limited") : undefined);
    tab.model.setTarget(key, "pdf");
    tab.model.convert(key);
    await settle();
    await tab.model.delete(key);
    await pass(60_000);
    expect(tab.model.items.value).toEqual([]);
    expect(world.server.of("/convert").length).toBe(1);
    expect(world.server.jobs.has(jobId)).toBe(false);
  });

  it("takes a file that was never taken, without a call", async () => {
    tab.model.add([file("a.unknown")]);
    await settle();
    await tab.model.delete(only(tab.model.items.value).key);
    expect(tab.model.items.value).toEqual([]);
    expect(world.server.of("/delete")).toEqual([]);
  });
});

describe("once more", () => {
  it("makes a copy on the server, and converts it", async () => {
    const first = await completed(world, tab, "a.docx", "pdf");
    tab.model.again(only(tab.model.history.value), "pdf");
    await settle();
    expect(only(world.server.of("/duplicate")).body).toEqual({ job_id: first.jobId });
    expect(tab.model.items.value.map((item) => [item.name, item.phase])).toEqual([
      ["a.docx", "completed"],
      ["a.docx", "queued"],
    ]);
    expect(at(tab.model.items.value, 1).jobId).not.toBe(first.jobId);
  });

  it("is there for a row that has ended, with its options and its password", async () => {
    const { key, jobId } = await uploaded(world, tab, "a.docx");
    tab.model.setTarget(key, "png");
    tab.model.setOption(key, "password", "x");
    tab.model.setOption(key, "dpi", 300);
    tab.model.againRow(key, "pdf"); // not converted yet: choose another target
    tab.model.convert(key);
    await settle();
    only(tab.streams).say(world.server.complete(jobId));
    tab.model.againRow(key, "pdf");
    await settle();
    expect(only(world.server.of("/duplicate")).body).toEqual({ job_id: jobId });
    expect(at(tab.model.items.value, 1)).toMatchObject({ name: "a.docx", phase: "queued", target: "pdf", options: { password: "x" } });
    expect(at(world.server.of("/convert"), 1).body).toMatchObject({ target_format: "pdf", options: { password: "x" } });
    expect(row(tab, key).phase).toBe("completed");
  });

  it("waits for a target where none is given", async () => {
    await completed(world, tab, "a.docx", "pdf");
    tab.model.again(only(tab.model.history.value), null);
    await settle();
    expect(at(tab.model.items.value, 1)).toMatchObject({ phase: "ready", target: null });
  });

  it("isn't asked for where the session may hold no more", async () => {
    world = createWorld();
    world.server.maxJobs = 1;
    tab = await world.tab();
    await completed(world, tab, "a.docx", "pdf");
    tab.model.again(only(tab.model.history.value), "pdf");
    await settle();
    expect(world.server.of("/duplicate")).toEqual([]);
    expect(at(tab.model.items.value, 1)).toMatchObject({ phase: "refused", problem: { code: "too_many_files" } });
  });

  it("isn't asked for forever, where the server takes none", async () => {
    await completed(world, tab, "a.docx", "pdf");
    world.server.answer = (call) => (call.path === "/duplicate" ? problem(429, "rate_limited") : undefined);
    tab.model.again(only(tab.model.history.value), "pdf");
    await pass(3_600_000);
    expect(world.server.of("/duplicate").length).toBe(10);
    expect(at(tab.model.items.value, 1)).toMatchObject({ phase: "refused", problem: { code: "rate_limited" }, stalled: null });
  });

  it("says when the server has it no more", async () => {
    const { jobId } = await completed(world, tab, "a.docx", "pdf");
    world.server.jobs.delete(jobId);
    tab.model.again(only(tab.model.history.value), "pdf");
    await settle();
    expect(at(tab.model.items.value, 1)).toMatchObject({ phase: "refused", problem: { code: "job_not_found" } });
    expect(only(tab.model.history.value).lost).toBe(true);
  });
});

describe("a password whose value is gone", () => {
  const chosen = async (name = "a.docx") => {
    const { key, jobId } = await uploaded(world, tab, name);
    tab.model.setTarget(key, "pdf");
    tab.model.setOption(key, "new_password", "very-secret");
    await settle();
    return { key, jobId };
  };
  const missing = { problem: { code: "secret_missing", detail: "new_password" } };

  it("keeps a conversion from beginning after a reload, until it is typed again or taken back", async () => {
    await chosen();
    tab = await world.tab();
    const { key } = only(tab.model.items.value);
    tab.model.convert(key);
    tab.model.convertAll();
    await settle();
    expect(world.server.of("/convert")).toEqual([]);
    expect(row(tab, key)).toMatchObject({ phase: "ready", ...missing });
    tab.model.setOption(key, "new_password", "again");
    tab.model.convert(key);
    await settle();
    expect(only(world.server.of("/convert")).body["options"]).toEqual({ new_password: "again" });
    expect(row(tab, key)).toMatchObject({ phase: "queued", problem: null });
  });

  it("is no longer wanted when it is taken back", async () => {
    await chosen();
    tab = await world.tab();
    const { key } = only(tab.model.items.value);
    tab.model.setOption(key, "new_password", null);
    tab.model.convert(key);
    await settle();
    expect(only(world.server.of("/convert")).body["options"]).toEqual({});
  });

  it("is missed in another tab, too", async () => {
    const other = await world.tab();
    await chosen();
    const { key } = only(other.model.items.value);
    other.model.convert(key);
    await settle();
    expect(world.server.of("/convert")).toEqual([]);
    expect(row(other, key)).toMatchObject({ phase: "ready", ...missing });
  });

  it("keeps a failed job from running again without it", async () => {
    const { key, jobId } = await chosen();
    tab.model.convert(key);
    await settle();
    only(tab.streams).say(world.server.change(jobId, { status: "failed", error_code: "timed_out" }));
    tab = await world.tab();
    const again = only(tab.model.items.value).key;
    tab.model.retry(again);
    tab.model.retry(again, { pages: "1" });
    await settle();
    expect(world.server.of("/retry")).toEqual([]);
    expect(row(tab, again)).toMatchObject({ phase: "failed", ...missing });
    tab.model.retry(again, { pages: "1", new_password: "x" });
    await settle();
    expect(only(world.server.of("/retry")).body["options"]).toEqual({ pages: "1", new_password: "x" });
  });

  it("keeps a copy from the history from being converted without it", async () => {
    const { key, jobId } = await chosen();
    tab.model.convert(key);
    await settle();
    only(tab.streams).say(world.server.complete(jobId));
    tab.model.again(only(tab.model.history.value), "pdf");
    await settle();
    expect(at(tab.model.items.value, 1)).toMatchObject({ phase: "ready", target: "pdf", ...missing });
    expect(world.server.of("/convert").length).toBe(1);
  });
});

describe("the options of a job that runs again", () => {
  const failed = async () => {
    const { key, jobId } = await uploaded(world, tab, "a.docx");
    tab.model.setTarget(key, "pdf");
    tab.model.setOption(key, "pages", "1-3");
    tab.model.convert(key);
    await settle();
    only(tab.streams).say(world.server.change(jobId, { status: "failed", error_code: "timed_out" }));
    return { key, jobId };
  };

  it("aren't sent, where nobody has changed them: the server has them", async () => {
    const { key, jobId } = await failed();
    tab.model.retry(key);
    await settle();
    expect(only(world.server.of("/retry")).body).toEqual({ job_id: jobId });
  });

  it("are sent where they were changed, and all of them where one is a password", async () => {
    const { key, jobId } = await failed();
    tab.model.setOption(key, "pages", "2");
    tab.model.retry(key);
    await settle();
    expect(only(world.server.of("/retry")).body).toEqual({ job_id: jobId, options: { pages: "2" } });
    const again = () => at(tab.streams, -1).say(world.server.change(jobId, { status: "failed", error_code: "timed_out" }));
    again();
    tab.model.setOption(key, "new_password", "x");
    tab.model.retry(key);
    await settle();
    again();
    tab.model.retry(key);
    await settle();
    expect(world.server.of("/retry").map((call) => call.body["options"])).toEqual([
      { pages: "2" },
      { pages: "2", new_password: "x" },
      { pages: "2", new_password: "x" },
    ]);
  });
});

describe("a result that is there already", () => {
  it("is had at once, and said to be an old one", async () => {
    world.server.answer = ({ path, body }) => {
      if (path !== "/convert") return undefined;
      const jobId = String(body["job_id"]);
      world.server.change(jobId, { target_format: "pdf", cached: true });
      world.server.complete(jobId);
      return new Response(JSON.stringify({ job_id: jobId, task_id: null, status: "completed", target_format: "pdf", cached: true }), { status: 202 });
    };
    await converting(world, tab, "a.docx", "pdf");
    expect(only(tab.model.items.value)).toMatchObject({ phase: "completed", job: { cached: true, output: { filename: "result.pdf" } } });
    expect(only(await stored())).toMatchObject({ status: "completed", task_id: null });
    expect(tab.streams).toEqual([]);
  });

  it("is followed, where it can't be looked at just then", async () => {
    world.server.answer = ({ path, body }) =>
      path === "/convert"
        ? new Response(JSON.stringify({ job_id: body["job_id"], task_id: null, status: "completed", target_format: "pdf", cached: true }), { status: 202 })
        : path.startsWith("/job_status")
          ? problem(503, "unavailable")
          : undefined;
    const { jobId } = await converting(world, tab, "a.docx", "pdf");
    world.server.change(jobId, { target_format: "pdf" });
    only(tab.streams).say(world.server.complete(jobId));
    expect(only(tab.model.items.value).phase).toBe("completed");
  });
});
