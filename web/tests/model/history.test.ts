// @vitest-environment node
import { openDB } from "idb";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StoredEntry } from "../../src/model/history-store";
import { at, completed, converting, createWorld, DAY_S, file, only, pass, problem, row, settle, START, stored, uploaded, type Tab, type World } from "./world";

let world: World;
let tab: Tab;

beforeEach(async () => {
  world = createWorld();
  tab = await world.tab();
});
afterEach(() => {
  vi.useRealTimers();
});

/** As a browser had it from before. */
async function store(...entries: Partial<StoredEntry>[]): Promise<void> {
  const database = await openDB("decant", 1);
  for (const entry of entries) await database.put("history", entry);
  database.close();
}

const past = (jobId: string, hours: number, more: Partial<StoredEntry> = {}): Partial<StoredEntry> => ({
  job_id: jobId,
  original_filename: `${jobId}.docx`,
  target_format: "pdf",
  status: "completed",
  timestamp: new Date(START - hours * 3_600_000).toISOString(),
  expires_at: new Date(START - (hours - 24) * 3_600_000).toISOString(),
  row: true,
  lost: false,
  ...more,
});

describe("the history", () => {
  it("has the specification's fields, and survives a reload", async () => {
    const { jobId } = await completed(world, tab, "a.docx", "pdf");
    await tab.model.downloadLink(jobId);
    await settle();
    expect(only(await stored())).toMatchObject({
      job_id: jobId,
      original_filename: "a.docx",
      target_format: "pdf",
      download_token: "token-4",
      status: "completed",
      timestamp: "2026-11-29T12:00:00.000Z",
    });
    tab = await world.tab();
    expect(only(tab.model.history.value)).toMatchObject({ job_id: jobId, status: "completed" });
    expect(only(tab.model.items.value)).toMatchObject({ jobId, phase: "completed", job: { output: { filename: "result.pdf" } } });
  });

  it("never holds a password", async () => {
    const { key, jobId } = await uploaded(world, tab, "a.docx");
    tab.model.setTarget(key, "png");
    tab.model.setOption(key, "password", "very-secret");
    tab.model.setOption(key, "dpi", 300);
    tab.model.convert(key);
    await settle();
    only(tab.streams).say(world.server.change(jobId, { status: "failed", error_code: "password_required" }));
    tab.model.retry(key, { password: "more-secret", dpi: 300 });
    await settle();
    const kept = await stored();
    expect(only(kept)).toMatchObject({ options: { dpi: 300 }, secrets: ["password"] });
    expect(JSON.stringify(kept)).not.toContain("-secret");
  });

  it("never holds one that was typed before the file was up, either", async () => {
    tab.model.add([file("a.docx")]);
    await settle();
    const { key } = only(tab.model.items.value);
    tab.model.setTarget(key, "png");
    tab.model.setOption(key, "password", "very-secret");
    tab.model.setOption(key, "dpi", 300);
    only(tab.xhrs).say(201, world.server.upload("a.docx", 10));
    await settle();
    expect(only(await stored()).options).toEqual({ dpi: 300 });
    expect(row(tab, key).options).toEqual({ dpi: 300, password: "very-secret" });
  });

  it("hasn't what is only uploaded, which comes back as a row all the same", async () => {
    const { key } = await uploaded(world, tab, "a.docx");
    tab.model.setTarget(key, "pdf");
    await settle();
    expect(tab.model.history.value).toEqual([]);
    tab = await world.tab();
    expect(only(tab.model.items.value)).toMatchObject({ phase: "ready", target: "pdf", sent: 10 });
  });

  it("stays in order where a line changes", async () => {
    const a = await completed(world, tab, "a.docx", "pdf");
    await pass(10);
    const b = await completed(world, tab, "b.docx", "pdf");
    await tab.model.downloadLink(a.jobId);
    await tab.model.downloadLink(b.jobId);
    expect(tab.model.history.value.map((entry) => [entry.job_id, entry.download_token !== null])).toEqual([
      [b.jobId, true],
      [a.jobId, true],
    ]);
  });

  it("isn't written for each percent", async () => {
    const { jobId } = await converting(world, tab, "a.docx", "pdf");
    only(tab.streams).say(world.server.change(jobId, { status: "processing", progress: 1 }));
    const before = tab.model.history.value;
    for (let progress = 2; progress < 50; progress++) only(tab.streams).say(world.server.change(jobId, { progress }));
    expect(tab.model.history.value).toBe(before);
  });

  it("has the newest first, and no more than 500", async () => {
    await store(...Array.from({ length: 505 }, (_, n) => past(`job-${n}`, 100 + n, { row: false })));
    await store(past("row", 1_000, { expires_at: new Date(START + 1000).toISOString() }));
    world.server.answer = (call) => (call.path.startsWith("/job_status") ? problem(500, "internal") : undefined);
    world.server.session = { ...world.server.init(), created_at: new Date(START - 2_000 * 3_600_000).toISOString() };
    tab = await world.tab();
    await settle();
    expect(tab.model.history.value.map((entry) => entry.job_id).slice(0, 2)).toEqual(["job-0", "job-1"]);
    expect((await stored()).length).toBe(501);
    expect(tab.model.history.value.at(-1)?.job_id).toBe("row"); // a row is no history yet
  });
});

describe("a browser without a database", () => {
  const opening = (open: () => unknown) => ({ open }) as unknown as IDBFactory;
  const failing = () => {
    const request = new EventTarget();
    queueMicrotask(() => request.dispatchEvent(new Event("error")));
    return request;
  };

  it.each([
    ["has none", undefined],
    [
      "forbids it",
      opening(() => {
        throw new DOMException("no", "SecurityError");
      }),
    ],
    ["fails to open it", opening(failing)],
  ])("%s: converts, and says that nothing is kept", async (_how, factory) => {
    expect(tab.model.historyKept.value).toBe(true);
    globalThis.indexedDB = factory as IDBFactory;
    tab = await world.tab();
    const { jobId } = await completed(world, tab, "a.docx", "pdf");
    expect(only(tab.model.history.value).job_id).toBe(jobId);
    expect(tab.model.historyKept.value).toBe(false);
  });
});

describe("after a reload", () => {
  it("what ran meanwhile is a row with what has become of it", async () => {
    const a = await converting(world, tab, "a.docx", "pdf");
    await pass(10);
    const b = await converting(world, tab, "b.docx", "pdf");
    world.server.complete(a.jobId);
    world.server.change(b.jobId, { status: "processing", progress: 33 });
    tab = await world.tab();
    expect(tab.model.items.value.map((item) => [item.name, item.phase, item.progress])).toEqual([
      ["a.docx", "completed", 100],
      ["b.docx", "processing", 33],
    ]);
    expect(tab.streams.length).toBe(1); // and is followed
  });

  it("asks for four at a time at most", async () => {
    for (let n = 0; n < 9; n++) await uploaded(world, tab, `${n}.docx`);
    let asking = 0;
    let most = 0;
    world.server.answer = async (call) => {
      if (!call.path.startsWith("/job_status")) return undefined;
      most = Math.max(most, ++asking);
      await new Promise((resolve) => setImmediate(resolve));
      asking--;
      return undefined;
    };
    tab = await world.tab();
    expect(most).toBe(4);
    expect(tab.model.items.value.filter((item) => item.job !== null).length).toBe(9);
  });

  it("rows that were taken away stay away", async () => {
    const { key } = await completed(world, tab, "a.docx", "pdf");
    tab.model.remove(key);
    await settle();
    tab = await world.tab();
    expect(tab.model.items.value).toEqual([]);
    expect(tab.model.history.value.length).toBe(1);
  });

  it("what has expired says when, is no row, and isn't asked for", async () => {
    await store(past("old", 30), past("never-converted", 30, { status: "uploaded" }));
    tab = await world.tab();
    expect(tab.model.items.value).toEqual([]);
    expect(only(tab.model.history.value)).toMatchObject({ job_id: "old", lost: false, expires_at: "2026-11-29T06:00:00.000Z" });
    expect(world.server.of("/job_status")).toEqual([]);
  });

  it("what ran when its session ended has failed, and isn't followed", async () => {
    await store(past("old", 30, { status: "processing" }));
    tab = await world.tab();
    expect(only(tab.model.history.value)).toMatchObject({ status: "failed", error_code: "session_required", lost: false });
    expect(tab.streams.filter((stream) => stream.readyState !== 2)).toEqual([]);
    await settle();
    expect(only(await stored()).status).toBe("failed");
  });

  it("what is of a session that was closed is lost, without a question", async () => {
    await completed(world, tab, "a.docx", "pdf");
    await pass(60_000);
    world.server.endSession();
    tab = await world.tab();
    expect(only(tab.model.history.value)).toMatchObject({ lost: true, download_token: null });
    expect(tab.model.items.value).toEqual([]);
    expect(world.server.of("/job_status")).toEqual([]);
  });

  it("what the server doesn't know is lost", async () => {
    const { jobId } = await completed(world, tab, "a.docx", "pdf");
    world.server.jobs.delete(jobId);
    tab = await world.tab();
    expect(only(tab.model.history.value).lost).toBe(true);
    expect(only(tab.model.items.value)).toMatchObject({ phase: "refused", problem: { code: "job_not_found" } });
  });
});

describe("what was written by another version of the page", () => {
  it("is completed where it lacks what came later", async () => {
    await store({
      job_id: "old",
      original_filename: "old.docx",
      target_format: "pdf",
      download_token: null,
      status: "completed",
      timestamp: "2026-11-01T00:00:00Z",
    });
    tab = await world.tab();
    expect(only(tab.model.history.value)).toMatchObject({ job_id: "old", size: 0, options: {}, lost: false, expires_at: "2026-11-01T00:00:00Z" });
  });

  it("in a newer database is left alone, and the history is in memory", async () => {
    world = createWorld();
    const newer = await openDB("decant", 99, { upgrade: (database) => void database.createObjectStore("other") });
    newer.close();
    tab = await world.tab();
    await completed(world, tab, "a.docx", "pdf");
    expect(tab.model.history.value.length).toBe(1);
    const untouched = await openDB("decant");
    expect([...untouched.objectStoreNames]).toEqual(["other"]);
  });

  it("can be changed by a newer page while this one is open", async () => {
    const newer = await openDB("decant", 2, { upgrade: (database) => void database.createObjectStore("other") });
    expect([...newer.objectStoreNames]).toEqual(["history", "other"]);
    newer.close();
    const { jobId } = await completed(world, tab, "a.docx", "pdf"); // goes on without it
    expect(only(tab.model.history.value).job_id).toBe(jobId);
  });

  it("has its store and its index", async () => {
    const database = await openDB("decant");
    expect(database.version).toBe(1);
    const { store: history } = database.transaction("history");
    expect([history.keyPath, ...history.indexNames]).toEqual(["job_id", "timestamp"]);
  });
});

describe("a browser that keeps nothing", () => {
  it("has the history until the page is closed", async () => {
    world = createWorld();
    vi.spyOn(indexedDB, "open").mockImplementation(() => {
      throw new DOMException("no", "SecurityError");
    });
    tab = await world.tab();
    await completed(world, tab, "a.docx", "pdf");
    expect(tab.model.history.value.length).toBe(1);
    await tab.model.forgetAll();
  });
});

describe("to forget", () => {
  it("takes one away for good, on the server, too", async () => {
    const { key, jobId } = await completed(world, tab, "a.docx", "pdf");
    tab.model.remove(key);
    await tab.model.forget(jobId);
    expect(tab.model.history.value).toEqual([]);
    expect(await stored()).toEqual([]);
    expect(world.server.jobs.size).toBe(0);
  });

  it("asks nobody for what has expired", async () => {
    await store(past("old", 30));
    tab = await world.tab();
    await tab.model.forget("old");
    expect(tab.model.history.value).toEqual([]);
    expect(world.server.of("/delete")).toEqual([]);
  });

  it("keeps what the server could not be told, and says why", async () => {
    const rows = [await completed(world, tab, "a.docx", "pdf"), await completed(world, tab, "b.docx", "pdf")];
    for (const { key } of rows) tab.model.remove(key);
    world.server.answer = ({ path, body }) => (path === "/delete" && body["job_id"] === rows[0]?.jobId ? "lost" : undefined);
    await tab.model.forgetAll();
    expect(only(tab.model.history.value).job_id).toBe(rows[0]?.jobId);
    expect(only(tab.model.notices.value).text).toBe("network");
    world.server.answer = () => undefined;
    await tab.model.forgetAll();
    expect(tab.model.history.value).toEqual([]);
    expect(await stored()).toEqual([]);
    expect(world.server.jobs.size).toBe(0);
  });

  it("waits where that was too much at once", async () => {
    const { key } = await completed(world, tab, "a.docx", "pdf");
    tab.model.remove(key);
    world.server.answer = ({ path }) =>
      path === "/delete" && world.server.of("/delete").length < 3 ? problem(429, "rate_limited", { "Retry-After": "2" }) : undefined;
    const done = tab.model.forgetAll();
    await pass(2_500);
    await pass(2_500);
    await done;
    expect(tab.model.history.value).toEqual([]);
    expect(tab.model.notices.value).toEqual([]);
  });

  it("all leaves what is a row", async () => {
    const { key } = await completed(world, tab, "a.docx", "pdf");
    tab.model.remove(key);
    const b = await converting(world, tab, "b.docx", "pdf");
    await tab.model.forgetAll();
    expect(only(tab.model.history.value).job_id).toBe(b.jobId);
    expect(only(await stored()).job_id).toBe(b.jobId);
  });

  it("isn't undone by what the server says later", async () => {
    const { jobId } = await converting(world, tab, "a.docx", "pdf");
    const late = world.server.complete(jobId);
    await tab.model.forget(jobId);
    at(tab.streams, -1).say(late);
    expect(tab.model.items.value).toEqual([]);
    expect(tab.model.history.value).toEqual([]);
  });
});

describe("a download link", () => {
  it("is used again while it lives long enough, and renewed when not", async () => {
    const { jobId } = await completed(world, tab, "a.docx", "pdf");
    const first = await tab.model.downloadLink(jobId);
    await pass(569_000);
    expect(await tab.model.downloadLink(jobId)).toBe(first);
    await pass(2_000); // 29 s are left
    const second = await tab.model.downloadLink(jobId);
    expect(second).not.toBe(first);
    expect(world.server.of("/download_token").length).toBe(2);
    expect(only(tab.model.history.value).download_token).toBe(second?.split("=")[1]);
  });

  it("is still known after a reload", async () => {
    const { jobId } = await completed(world, tab, "a.docx", "pdf");
    const first = await tab.model.downloadLink(jobId);
    tab = await world.tab();
    expect(await tab.model.downloadLink(jobId)).toBe(first);
  });

  it("goes by the server's clock, wherever the computer's stands", async () => {
    world = createWorld();
    world.server.aheadMs = -3 * DAY_S * 1000;
    tab = await world.tab();
    const { jobId } = await completed(world, tab, "a.docx", "pdf");
    expect(tab.model.notices.value).toEqual([]);
    const first = await tab.model.downloadLink(jobId);
    await pass(100_000);
    expect(await tab.model.downloadLink(jobId)).toBe(first);
    await pass(480_000);
    expect(await tab.model.downloadLink(jobId)).not.toBe(first);
  });

  it("tells the time to a page that has heard nothing else of it", async () => {
    world = createWorld();
    world.server.aheadMs = -3 * DAY_S * 1000;
    tab = await world.tab();
    const { jobId } = await completed(world, tab, "a.docx", "pdf");
    await pass(3_600_000);
    tab = await world.tab();
    expect(tab.model.notices.value).toEqual([]);
    const first = await tab.model.downloadLink(jobId);
    await pass(575_000);
    expect(await tab.model.downloadLink(jobId)).not.toBe(first);
  });

  it("is of the result there is: another conversion needs another one", async () => {
    const { key, jobId } = await converting(world, tab, "a.docx", "pdf");
    only(tab.streams).say(world.server.change(jobId, { status: "failed", error_code: "timed_out" }));
    tab.model.retry(key);
    await settle();
    at(tab.streams, -1).say(world.server.complete(jobId));
    await tab.model.download(jobId);
    expect(only(tab.saved)).toMatch(/^\/download\?token=/);
  });

  it("that can't be had says why in its row", async () => {
    const { key, jobId } = await completed(world, tab, "a.docx", "pdf");
    world.server.answer = (call) => (call.path === "/download_token" ? problem(429, "rate_limited", { "Retry-After": "3" }) : undefined);
    expect(await tab.model.downloadLink(jobId)).toBeNull();
    expect(row(tab, key)).toMatchObject({ phase: "completed", problem: { code: "rate_limited", retryAfter: 3 } });
    world.server.answer = () => undefined;
    await tab.model.download(jobId);
    expect(tab.saved.length).toBe(1);
    expect(row(tab, key).problem).toBeNull();
  });

  it("is one for a hundred, and another one for the others", async () => {
    const ids = Array.from({ length: 130 }, (_, n) => `${n}`);
    world.server.upload("a.docx", 1);
    for (const id of ids) world.server.jobs.set(id, world.server.job([...world.server.jobs.keys()][0] ?? ""));
    await tab.model.downloadAll(ids);
    expect(world.server.of("/download_token").map((call) => (call.body["job_ids"] as string[]).length)).toEqual([100, 30]);
    expect(world.server.of("/download_token").map((call) => call.body["part"])).toEqual([1, 2]); // their names differ
    expect(only(tab.model.notices.value)).toMatchObject({ text: "several_downloads", values: { count: 2 } });
    expect(tab.saved.length).toBe(2);
  });

  it("is one for all", async () => {
    const a = await completed(world, tab, "a.docx", "pdf");
    const b = await completed(world, tab, "b.docx", "pdf");
    await uploaded(world, tab, "c.docx");
    await tab.model.downloadAll();
    expect(only(world.server.of("/download_token")).body).toEqual({ job_ids: [a.jobId, b.jobId] });
    expect(only(tab.saved)).toMatch(/^\/download\/archive\?token=/);
    world.server.answer = (call) => (call.path === "/download_token" ? problem(507, "storage_full") : undefined);
    await tab.model.downloadAll();
    expect(only(tab.model.notices.value)).toMatchObject({ kind: "problem", problem: { code: "storage_full" } });
  });
});

describe("a result that is text", () => {
  it("is asked for in part, and cut where the server sends more", async () => {
    const { jobId } = await completed(world, tab, "a.docx", "txt");
    const asked: (string | undefined)[] = [];
    const fetch = world.server.fetch;
    tab = await world.tab({
      fetch: (input, init) => {
        if (!input.startsWith("/download?")) return fetch(input, init);
        asked.push((init?.headers as Record<string, string>)["Range"]);
        return Promise.resolve(new Response("Größe und mehr"));
      },
    });
    expect(await tab.model.resultText(jobId, 4)).toBe("Gr\u00f6");
    expect(await tab.model.resultText(jobId, 3)).toBe("Gr");
    expect(asked).toEqual(["bytes=0-3", "bytes=0-2"]);
  });

  it("is nothing of an empty file, and null where it can't be had", async () => {
    const { jobId } = await completed(world, tab, "a.docx", "txt");
    world.server.answer = (call) => (call.path.startsWith("/download?") ? problem(416, "range_not_satisfiable") : undefined);
    expect(await tab.model.resultText(jobId, 10)).toBe("");
    world.server.answer = (call) => (call.path.startsWith("/download?") ? "lost" : undefined);
    expect(await tab.model.resultText(jobId, 10)).toBeNull();
  });
});

it("gives the address of a preview", () => expect(tab.model.previewUrl("a b", 128)).toBe("/preview?job_id=a%20b&size=128"));

it("keeps the rows in the order in which they were added, also where uploads end in another", async () => {
  const names = ["a.docx", "b.docx", "c.docx"];
  const other = await world.tab();
  tab.model.add(names.map((name) => file(name)));
  await settle();
  for (const n of [2, 0, 1]) {
    at(tab.xhrs, n).say(201, world.server.upload(at(names, n), 10));
    await pass(10);
  }
  const reloaded = await world.tab();
  for (const { model } of [tab, other, reloaded]) expect(model.items.value.map((item) => item.name)).toEqual(names);
  reloaded.model.add([file("d.docx")]);
  expect(reloaded.model.items.value.map((item) => item.name)).toEqual([...names, "d.docx"]);
});

it("keeps the rows in their order over a reload", async () => {
  for (const name of ["a", "b", "c"]) {
    await uploaded(world, tab, `${name}.docx`);
    await pass(10);
  }
  tab = await world.tab();
  expect(tab.model.items.value.map((item) => item.name)).toEqual(["a.docx", "b.docx", "c.docx"]);
  expect(at(tab.model.items.value, 0).key).toBeTruthy();
});
