// @vitest-environment node
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { at, completed, createStorage, createWorld, file, only, pass, problem, row, settle, uploaded, type Tab, type World } from "./world";

let world: World;
let tab: Tab;

beforeEach(async () => {
  world = createWorld();
  tab = await tab0();
});
afterEach(() => {
  vi.useRealTimers();
});

const tab0 = () => world.tab();
const phases = () => tab.model.items.value.map((item) => item.phase);
const said = (status: number, code: string) => [status, { code, detail: "" }] as const;

describe("uploads", () => {
  it("begin at once, four at a time, in order", async () => {
    tab.model.add(Array.from({ length: 6 }, (_, n) => file(`${n}.docx`)));
    await settle();
    expect(tab.xhrs.map((xhr) => xhr.file?.name)).toEqual(["0.docx", "1.docx", "2.docx", "3.docx"]);
    expect(phases()).toEqual(["uploading", "uploading", "uploading", "uploading", "waiting", "waiting"]);
    at(tab.xhrs, 2).say(201, world.server.upload("2.docx", 10));
    await settle();
    expect(tab.xhrs.map((xhr) => xhr.file?.name).slice(4)).toEqual(["4.docx"]);
    expect(phases()).toEqual(["uploading", "uploading", "ready", "uploading", "uploading", "waiting"]);
  });

  it("carry the session's token, and tell how many bytes are sent", async () => {
    tab.model.add([file("a.docx", 1000)]);
    await settle();
    const xhr = only(tab.xhrs);
    expect(xhr.csrf).toBe(world.server.session?.csrf_token);
    xhr.progress(400);
    expect(only(tab.model.items.value).sent).toBe(400);
    xhr.progress(1180); // with the form around it
    expect(only(tab.model.items.value).sent).toBe(1000);
  });

  it("wait for the session, when files come before the server has answered", async () => {
    world = createWorld();
    let answer: () => void = () => undefined;
    const held = new Promise<undefined>((resolve) => (answer = () => resolve(undefined)));
    world.server.answer = (call) => (call.path === "/session/init" ? held : undefined);
    tab = await world.tab();
    tab.model.add([file("a.docx"), file("a.exe")]);
    await settle();
    expect(tab.xhrs).toEqual([]);
    answer();
    await settle();
    expect(phases()).toEqual(["uploading", "refused"]);
  });

  it("take the same file twice", async () => {
    const twice = file("a.docx");
    tab.model.add([twice, twice]);
    await settle();
    expect(tab.xhrs.length).toBe(2);
  });

  it("have the likeliest target from the start", async () => {
    tab.model.add([file("a.docx")]);
    await settle();
    expect(only(tab.model.items.value)).toMatchObject({ phase: "uploading", target: "pdf" });
  });

  it("take the server's word for what a file is", async () => {
    tab.model.add([file("a.docx")]);
    await settle();
    const { key } = only(tab.model.items.value);
    tab.model.setTarget(key, "odt");
    only(tab.xhrs).say(201, { ...world.server.upload("a.docx", 10), original_filename: "clean.docx", format: "pdf", targets: ["png"] });
    await settle();
    expect(row(tab, key)).toMatchObject({ phase: "ready", name: "clean.docx", format: "pdf", target: null });
  });
});

describe("what the server would not take", () => {
  it("isn't sent, and says so in the server's code", async () => {
    tab.model.add([file("a.exe"), file("a.docx", 0), file("b.docx", 1_048_577), file("c.docx", 1_048_576)]);
    await settle();
    expect(tab.model.items.value.map((item) => item.problem?.code ?? item.phase)).toEqual(["unsupported_type", "empty_file", "too_large", "uploading"]);
    expect(tab.xhrs.length).toBe(1);
  });

  it("counts what the session holds already, and what is on its way", async () => {
    world = createWorld();
    world.server.maxJobs = 3;
    tab = await world.tab();
    await uploaded(world, tab, "a.docx");
    tab.model.add([file("b.docx"), file("c.docx"), file("d.docx")]);
    await settle();
    expect(phases()).toEqual(["ready", "uploading", "uploading", "refused"]);
    expect(at(tab.model.items.value, 3).problem?.code).toBe("too_many_files");
  });

  it("counts what was put away into the history, and not what was deleted", async () => {
    world = createWorld();
    world.server.maxJobs = 2;
    tab = await world.tab();
    const a = await completed(world, tab, "a.docx", "pdf");
    const b = await completed(world, tab, "b.docx", "pdf");
    for (const { key } of [a, b]) tab.model.remove(key);
    await settle();
    for (const each of [tab, await world.tab()]) {
      each.model.add([file("c.docx")]);
      await settle();
      const refused = only(each.model.items.value);
      expect(refused.problem?.code).toBe("too_many_files");
      each.model.remove(refused.key);
    }
    await tab.model.forget(a.jobId);
    tab.model.add([file("c.docx")]);
    await settle();
    expect(phases()).toEqual(["uploading"]);
  });

  it("weighs what the session holds, results and what is on its way", async () => {
    world = createWorld();
    world.server.maxBytes = 1000;
    tab = await world.tab();
    const { key } = await uploaded(world, tab, "a.docx", 300);
    tab.model.setTarget(key, "pdf");
    tab.model.convert(key);
    await settle();
    only(tab.streams).say(world.server.complete(row(tab, key).jobId ?? "")); // 7 bytes
    tab.model.add([file("b.docx", 400), file("c.docx", 294), file("d.docx", 293)]);
    await settle();
    expect(tab.model.items.value.slice(1).map((item) => item.problem?.code ?? item.phase)).toEqual(["uploading", "storage_full", "uploading"]);
  });

  it("is said at once where only the server can know, and never sent again by itself", async () => {
    tab.model.add([file("a.docx")]);
    await settle();
    only(tab.xhrs).say(...said(422, "type_mismatch"));
    await pass(600_000);
    expect(only(tab.model.items.value)).toMatchObject({ phase: "refused", problem: { code: "type_mismatch" } });
    expect(tab.xhrs.length).toBe(1);
  });

  it("understands a proxy's page, too", async () => {
    tab.model.add([file("a.docx")]);
    await settle();
    const xhr = only(tab.xhrs);
    xhr.say(413, "<html>");
    await settle();
    expect(only(tab.model.items.value).problem?.code).toBe("too_large");
  });

  it("takes a 500 without words for what it is, and tries again", async () => {
    tab.model.add([file("a.docx")]);
    await settle();
    only(tab.xhrs).say(500, "<html>");
    await settle();
    expect(only(tab.model.items.value)).toMatchObject({ phase: "uploading", stalled: "busy" });
  });
});

describe("a lost connection", () => {
  it("is tried again, later each time, with the whole file", async () => {
    tab.model.add([file("a.docx", 1000)]);
    await settle();
    only(tab.xhrs).progress(700);
    only(tab.xhrs).cut();
    await settle();
    expect(only(tab.model.items.value)).toMatchObject({ phase: "uploading", stalled: "network" });
    await pass(999);
    expect(tab.xhrs.length).toBe(1);
    await pass(1);
    expect(tab.xhrs.length).toBe(2);
    expect(only(tab.model.items.value).sent).toBe(0);
    at(tab.xhrs, 1).cut();
    await pass(1999);
    expect(tab.xhrs.length).toBe(2);
    await pass(1);
    at(tab.xhrs, 2).progress(100);
    expect(only(tab.model.items.value).stalled).toBeNull();
    at(tab.xhrs, 2).say(201, world.server.upload("a.docx", 1000));
    await settle();
    expect(only(tab.model.items.value)).toMatchObject({ phase: "ready", stalled: null, problem: null });
  });

  it("costs no tries while there is no network, and goes on when that is back", async () => {
    tab.model.add([file("a.docx")]);
    await settle();
    world.server.answer = () => "lost";
    only(tab.xhrs).cut();
    await pass(3_600_000);
    expect(tab.model.connection.value).toBe("lost");
    expect(tab.xhrs.length).toBe(1);
    world.server.answer = () => undefined;
    tab.window.dispatchEvent(new Event("online"));
    await settle();
    expect(tab.model.connection.value).toBe("up");
    expect(tab.xhrs.length).toBe(2);
  });

  it("ends some time, when the server is there and this file never gets to it", async () => {
    tab.model.add([file("a.docx")]);
    for (let n = 0; n < 30; n++) {
      await settle();
      const last = at(tab.xhrs, -1);
      if (!last.ended) last.cut();
      await pass(30_000);
    }
    expect(tab.xhrs.length).toBe(10);
    expect(only(tab.model.items.value)).toMatchObject({ phase: "refused", problem: { code: "network" } });
  });

  it("is noticed where nothing says so: a computer slept", async () => {
    tab.model.add([file("a.docx")]);
    await settle();
    only(tab.xhrs).progress(5);
    await pass(119_000);
    expect(only(tab.xhrs).aborted).toBe(false);
    await pass(2_000);
    expect(at(tab.xhrs, 0).aborted).toBe(true);
    await pass(1_000);
    expect(tab.xhrs.length).toBe(2);
  });

  it("isn't one when the file can't be read any more", async () => {
    const changed = file("a.docx");
    tab.model.add([changed]);
    await settle();
    vi.spyOn(changed, "slice").mockReturnValue({ arrayBuffer: () => Promise.reject(new DOMException("", "NotReadableError")) } as Blob);
    only(tab.xhrs).cut();
    await settle();
    expect(tab.xhrs.length).toBe(1);
    expect(only(tab.model.items.value)).toMatchObject({ phase: "refused", problem: { code: "unreadable" } });
  });
});

describe("a large file", () => {
  const SIZE = 5_000_000;

  beforeEach(async () => {
    world = createWorld();
    world.server.maxUpload = 2 * SIZE;
    tab = await world.tab();
  });

  async function begin() {
    tab.model.add([file("large.docx", SIZE)]);
    await settle();
    const first = only(tab.tus);
    first.created("one");
    return first;
  }

  it("goes in pieces by the tus client, and smaller ones as they are", async () => {
    const upload = await begin();
    tab.model.add([file("small.docx", 4_000_000)]);
    await settle();
    expect(only(tab.xhrs).file?.name).toBe("small.docx");
    expect(upload.started).toBe(true);
    expect(upload.options).toMatchObject({ endpoint: "/files", uploadUrl: null, metadata: { filename: "large.docx" } });
    expect(upload.options.headers).toEqual({ "X-CSRF-Token": world.server.session?.csrf_token });
    upload.progress(3_000_000);
    expect(at(tab.model.items.value, 0)).toMatchObject({ phase: "uploading", sent: 3_000_000 });
    world.server.sent.set("one", world.server.upload("large.docx", SIZE));
    upload.succeed();
    await settle();
    expect(at(tab.model.items.value, 0)).toMatchObject({ phase: "ready", format: "docx" });
    expect(at(world.server.of("/files/one"), 0).csrf).toBe(world.server.session?.csrf_token);
  });

  it("goes on where the server has it, soon again for as long as it gets further", async () => {
    let last = await begin();
    for (let n = 1; n <= 15; n++) {
      last.cut();
      await settle();
      expect(only(tab.model.items.value).stalled).toBe("network");
      await pass(1_000);
      expect(tab.tus.length).toBe(n + 1);
      last = at(tab.tus, -1);
      expect(last.options.uploadUrl).toBe("http://localhost/files/one");
      expect(only(tab.model.items.value).sent).toBe((n - 1) * 1000);
      last.resumed(n * 1000);
    }
    world.server.sent.set("one", world.server.upload("large.docx", SIZE));
    last.succeed();
    await settle();
    expect(only(tab.model.items.value)).toMatchObject({ phase: "ready", stalled: null });
  });

  it("is tried ten times when nothing comes of it, and goes on when it is asked to", async () => {
    await begin();
    for (let n = 0; n < 10; n++) {
      at(tab.tus, -1).cut();
      await pass(30_000);
    }
    expect(tab.tus.length).toBe(10);
    const { key, phase } = only(tab.model.items.value);
    expect(phase).toBe("refused");
    tab.model.retry(key);
    await settle();
    expect(at(tab.tus, 10).options.uploadUrl).toBe("http://localhost/files/one");
  });

  it.each([
    [423, "upload_busy"],
    [409, "offset_mismatch"],
    [503, "unavailable"],
  ])("is tried again after %i", async (status, code) => {
    (await begin()).refuse(status, code, { "Retry-After": "3" });
    await pass(4_000);
    expect(tab.tus.length).toBe(2);
  });

  it("that is refused isn't sent again, also where only the last byte told", async () => {
    (await begin()).refuse(422, "type_mismatch");
    await pass(60_000);
    expect(only(tab.model.items.value)).toMatchObject({ phase: "refused", problem: { code: "type_mismatch" } });
    tab.model.add([file("other.docx", SIZE)]);
    await settle();
    at(tab.tus, 1).created("two");
    at(tab.tus, 1).succeed(); // its answer was lost, and its HEAD says that all is there
    await pass(60_000);
    expect(at(tab.model.items.value, 1)).toMatchObject({ phase: "refused", problem: { code: "type_mismatch" } });
    expect(tab.tus.length).toBe(2);
  });

  it("that is called off is given up on the server, too", async () => {
    const upload = await begin();
    tab.model.cancel(only(tab.model.items.value).key);
    await settle();
    expect(upload.aborted).toBe(true);
    expect(world.server.of("/files/one").map(({ method, csrf }) => [method, csrf])).toEqual([["DELETE", world.server.session?.csrf_token]]);
    expect(phases()).toEqual(["cancelled"]);
  });

  it("begins anew in another session", async () => {
    const upload = await begin();
    world.server.endSession();
    upload.refuse(401, "session_required");
    await settle();
    expect(at(tab.tus, 1).options.headers).toEqual({ "X-CSRF-Token": world.server.session?.csrf_token });
    at(tab.tus, 1).created("two");
    at(tab.tus, 1).cut();
    await pass(1_000);
    expect(at(tab.tus, 2).options.uploadUrl).toBe("http://localhost/files/two");
  });

  describe("that is chosen again after a reload", () => {
    const large = (name = "large.docx", size = SIZE, lastModified = 1) => file(name, size, lastModified);
    let tabStorage = createStorage();
    const page = (given = {}) => world.tab({ tabStorage, ...given });
    const urls = (tab: Tab) => tab.tus.map(({ options }) => options.uploadUrl);

    /** As of an upload that a reload cut off. */
    beforeEach(async () => {
      tabStorage = createStorage();
      tab = await page();
      tab.model.add([large()]);
      await settle();
      only(tab.tus).created("one");
    });

    async function chosenAgain(...files: File[]) {
      tab = await page();
      tab.model.add(files.length > 0 ? files : [large()]);
      await settle();
      return tab;
    }

    it("goes on where the server has it, once, and is forgotten when it is there", async () => {
      await chosenAgain(large(), large());
      expect(urls(tab)).toEqual(["http://localhost/files/one", null]);
      at(tab.tus, 0).resumed(3_000_000);
      at(tab.tus, 0).cut();
      await pass(1_000);
      expect(at(tab.model.items.value, 0)).toMatchObject({ phase: "uploading", sent: 3_000_000 });
      await chosenAgain(); // and once more
      expect(urls(tab)).toEqual(["http://localhost/files/one"]);
      world.server.sent.set("one", world.server.upload("large.docx", SIZE));
      only(tab.tus).resumed(SIZE);
      only(tab.tus).succeed();
      await settle();
      expect(at(tab.model.items.value, -1)).toMatchObject({ phase: "ready" });
      expect(tabStorage.getItem("decant.unfinished")).toBeNull();
    });

    it.each([
      ["name", () => large("lerge.docx")],
      ["size", () => large("large.docx", SIZE + 1)],
      ["time", () => large("large.docx", SIZE, 2)],
    ])("begins anew where its %s is another", async (_, other) => {
      await chosenAgain(other());
      expect(urls(tab)).toEqual([null]);
    });

    it("begins anew where the server has it no more, and remembers that", async () => {
      await chosenAgain();
      only(tab.tus).created("two");
      await chosenAgain();
      expect(urls(tab)).toEqual(["http://localhost/files/two"]);
    });

    it("begins anew after it was called off, in another session, another tab, or with what is no memory", async () => {
      tab.model.cancel(only(tab.model.items.value).key);
      expect(urls(await chosenAgain())).toEqual([null]);
      only(tab.tus).created("two");
      expect(urls(await chosenAgain())).toEqual(["http://localhost/files/two"]);
      tabStorage = createStorage();
      expect(urls(await chosenAgain())).toEqual([null]);
      only(tab.tus).created("three");
      await pass(1_000);
      world.server.endSession();
      expect(urls(await chosenAgain())).toEqual([null]);
      for (const nonsense of ["{", "null", '[{"file":1}]', "7"]) {
        tabStorage.setItem("decant.unfinished", nonsense);
        expect(urls(await chosenAgain())).toEqual([null]);
      }
    });

    it("is nothing to who signs in, or has signed out, and no name is kept of it", async () => {
      world.server.person("ada");
      await tab.model.signIn("ada", "ada's password");
      await settle();
      expect(tabStorage.getItem("decant.unfinished")).toBeNull();
      tab.model.add([large()]);
      await settle();
      at(tab.tus, -1).created("two");
      expect(tabStorage.getItem("decant.unfinished")).not.toContain("large");
      expect(urls(await chosenAgain())).toEqual(["http://localhost/files/two"]);
      await tab.model.signOut();
      await settle();
      expect(tabStorage.getItem("decant.unfinished")).toBeNull();
    });

    it("is one of a hundred at most", async () => {
      for (let n = 0; n < 120; n++) {
        tab.model.add([large(`${n}.docx`)]);
        await settle();
        at(tab.tus, -1).created(`upload-${n}`);
        at(tab.tus, -1).refuse(415, "unsupported_type");
        await settle();
      }
      expect(JSON.parse(tabStorage.getItem("decant.unfinished") ?? "")).toHaveLength(100);
    });
  });

  it("is noticed to stand still", async () => {
    const upload = await begin();
    upload.progress(5);
    await pass(121_000);
    expect(upload.aborted).toBe(true);
    await pass(1_000);
    expect(tab.tus.length).toBe(2);
  });

  it("is sent as a whole where the client can't be had", async () => {
    tab = await world.tab({ tus: () => Promise.reject(new TypeError("Failed to fetch dynamically imported module")) });
    tab.model.add([file("large.docx", SIZE)]);
    await settle();
    expect(only(tab.xhrs).file?.name).toBe("large.docx");
  });
});

describe("a busy server", () => {
  it.each([
    [429, "rate_limited"],
    [503, "unavailable"],
  ])("that says %i is asked again when it wants to be", async (status, code) => {
    tab.model.add([file("a.docx")]);
    await settle();
    only(tab.xhrs).say(status, { code }, { "Retry-After": "8" });
    await pass(7_999);
    expect(tab.xhrs.length).toBe(1);
    await pass(2_001);
    expect(tab.xhrs.length).toBe(2);
  });
});

describe("somebody who changes his mind", () => {
  it("ends the upload, gives its place to the next, and can send it again", async () => {
    tab.model.add(Array.from({ length: 5 }, (_, n) => file(`${n}.docx`)));
    await settle();
    const { key } = at(tab.model.items.value, 0);
    tab.model.cancel(key);
    await settle();
    expect(at(tab.xhrs, 0).aborted).toBe(true);
    expect(phases()).toEqual(["cancelled", "uploading", "uploading", "uploading", "uploading"]);
    at(tab.xhrs, 1).say(201, world.server.upload("1.docx", 10));
    tab.model.retry(key);
    await settle();
    expect(at(tab.xhrs, -1).file?.name).toBe("0.docx");
    expect(phases()[0]).toBe("uploading");
  });

  it("takes a row away in the midst of it, also while it waits to be tried again", async () => {
    tab.model.add([file("a.docx"), file("b.docx")]);
    await settle();
    at(tab.xhrs, 0).cut();
    await settle();
    for (const { key } of tab.model.items.value) tab.model.remove(key);
    await pass(600_000);
    expect(tab.model.items.value).toEqual([]);
    expect(tab.xhrs.length).toBe(2);
    expect(at(tab.xhrs, 1).aborted).toBe(true);
  });
});

describe("a session that ends under an upload", () => {
  it("is followed by another one, into which the file goes", async () => {
    tab.model.add([file("a.docx")]);
    await settle();
    world.server.endSession();
    only(tab.xhrs).say(...said(401, "session_required"));
    await settle();
    expect(at(tab.xhrs, 1).csrf).toBe(world.server.session?.csrf_token);
    expect(phases()).toEqual(["uploading"]);
  });

  it("is asked about, where the token isn't the cookie's", async () => {
    tab.model.add([file("a.docx")]);
    await settle();
    world.server.endSession();
    only(tab.xhrs).say(...said(403, "csrf_invalid"));
    await settle();
    expect(tab.xhrs.length).toBe(2);
    for (let n = 0; n < 5; n++) {
      if (!at(tab.xhrs, -1).ended) at(tab.xhrs, -1).say(...said(403, "csrf_invalid"));
      await settle();
    }
    expect(tab.xhrs.length).toBe(4);
    expect(only(tab.model.items.value).problem?.code).toBe("csrf_invalid");
  });
});

it("says that the server is there no more, and that it is again", async () => {
  world.server.answer = () => "lost";
  tab = await world.tab();
  expect(tab.model.connection.value).toBe("lost");
  world.server.answer = (call) => (call.path === "/session/init" ? problem(503, "unavailable") : undefined);
  await pass(2_000);
  expect(tab.model.connection.value).toBe("lost");
  world.server.answer = () => undefined;
  await pass(60_000);
  expect(tab.model.connection.value).toBe("up");
  expect(tab.model.catalogue.value).not.toBeNull();
});
