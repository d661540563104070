// @vitest-environment node
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Environment } from "../../src/model/environment";
import {
  at,
  completed,
  converting,
  createStorage,
  createWorld,
  DAY_S,
  file,
  only,
  pass,
  problem,
  row,
  settle,
  START,
  stored,
  uploaded,
  type Tab,
  type World,
} from "./world";

let world: World;
let browser: Partial<Environment>;
let tab: Tab;

beforeEach(async () => {
  world = createWorld();
  world.server.person("ada");
  world.server.person("bob", "free");
  browser = { locks: world.locks, storage: createStorage() };
  tab = await world.tab(browser);
});
afterEach(() => {
  vi.useRealTimers();
});

const DAY = DAY_S * 1000;
const names = (tab: Tab) => tab.model.history.value.map((entry) => entry.original_filename);
const who = (tab: Tab) => tab.model.session.value?.account?.name ?? null;
const notices = (tab: Tab) => tab.model.notices.value.map(({ text }) => text);
const storedNames = async () => (await stored()).map((entry) => entry.original_filename);
const paths = () => world.server.calls.map(({ path }) => path.split("?")[0]);

async function signIn(in_: Tab, name: string, password = `${name}'s password`) {
  const refused = await in_.model.signIn(name, password);
  await settle();
  return refused;
}

/** Another program's, in the account. */
function elsewhere(account: string, filename: string, minutesAgo: number, change = {}): string {
  const before = world.server.session;
  world.server.session = null;
  world.server.init([...world.server.people.values()].find(({ id }) => id === account));
  const { job_id } = world.server.upload(filename, 10);
  const created_at = new Date(START - minutesAgo * 60_000).toISOString();
  world.server.change(job_id, { status: "completed", target_format: "pdf", created_at, output: { filename: "result.pdf", mime_type: "", size: 7 }, ...change });
  world.server.session = before;
  return job_id;
}

describe("to sign in", () => {
  it("makes the session the account's, and drops the token", async () => {
    expect(await signIn(tab, "ada")).toBeNull();
    expect(who(tab)).toBe("ada");
    expect(tab.model.session.value?.plan).toBe("premium");
    expect(world.server.calls.filter(({ authorization }) => authorization !== null).map(({ path }) => path)).toEqual(["/session/init"]);
    expect(JSON.stringify([await stored(), browser.storage?.getItem("decant.signed_in")])).not.toContain("access-");
  });

  it("says why it didn't work, and changes nothing", async () => {
    const { key } = await uploaded(world, tab, "a.docx");
    expect(await signIn(tab, "ada", "wrong")).toMatchObject({ code: "login_failed" });
    world.server.answer = ({ path }) => (path === "/auth/login" ? problem(429, "rate_limited", { "Retry-After": "180" }) : undefined);
    expect(await signIn(tab, "ada")).toMatchObject({ code: "rate_limited", retryAfter: 180 });
    world.server.answer = ({ path }) => (path === "/auth/login" ? "lost" : undefined);
    expect(await signIn(tab, "ada")).toMatchObject({ code: "network" });
    expect(who(tab)).toBeNull();
    expect(only(tab.model.items.value)).toMatchObject({ key, phase: "ready" });
    expect(world.server.of("/session/close")).toEqual([]);
  });

  it("deletes what belongs to nobody, and can't be reached any more", async () => {
    await completed(world, tab, "mine.docx", "pdf");
    await signIn(tab, "ada");
    expect(world.server.jobsOf("").size).toBe(0);
    expect(tab.model.items.value).toEqual([]);
    expect(names(tab)).toEqual([]);
    expect(notices(tab)).toEqual([]);
  });

  it("is no news to another tab that loses nothing by it", async () => {
    const other = await world.tab(browser);
    await signIn(tab, "ada");
    await settle();
    expect([who(other), notices(other)]).toEqual(["ada", []]);
  });

  it("stops what is being sent", async () => {
    tab.model.add([file("a.docx")]);
    await settle();
    await signIn(tab, "ada");
    expect(at(tab.xhrs, 0).aborted).toBe(true);
    expect(tab.model.items.value).toEqual([]);
  });

  it("ends nobody's session, whatever this tab knows of it", async () => {
    await signIn(tab, "ada");
    expect(world.server.of("/session/close").length).toBe(1);
  });
});

describe("an account's history", () => {
  it("is its own, in each browser", async () => {
    await completed(world, tab, "nobody's.docx", "pdf");
    await signIn(tab, "bob");
    await completed(world, tab, "bob's.docx", "pdf");
    expect(names(tab)).toEqual(["bob's.docx"]);
    await tab.model.signOut();
    await settle();
    expect(names(tab)).toEqual(["nobody's.docx"]);
    expect(only(tab.model.history.value).lost).toBe(true);
    await signIn(tab, "ada");
    expect(names(tab)).toEqual([]);
    await tab.model.forgetAll();
    await tab.model.deleteEverything();
    expect(await storedNames()).toEqual(["nobody's.docx"]);
  });

  it("leaves no name in the browser when somebody signs out, in whichever tab", async () => {
    const other = await world.tab(browser);
    await signIn(tab, "bob");
    const { jobId } = await converting(world, other, "bob's.docx", "pdf");
    expect(await storedNames()).toEqual(["bob's.docx"]);
    const signedOut = tab.model.signOut();
    at(other.streams, -1).say(world.server.complete(jobId)); // which is written while the one signs out
    await signedOut;
    await settle();
    expect(await stored()).toEqual([]);
    for (const each of [tab, other]) expect([names(each), each.model.items.value, notices(each)]).toEqual([[], [], ["signed_out"]]);
  });

  it("leaves no name where the login ended while no page was there, or another one has signed in meanwhile", async () => {
    await completed(world, tab, "nobody's.docx", "pdf");
    await signIn(tab, "bob");
    await completed(world, tab, "bob's.docx", "pdf");
    world.server.endSession();
    world.server.answer = ({ path }) => (path === "/auth/refresh" ? problem(503, "unavailable") : undefined);
    tab = await world.tab(browser);
    expect(await storedNames()).toEqual(["nobody's.docx", "bob's.docx"]); // nobody knows yet
    world.server.answer = () => undefined;
    world.server.login = "ada";
    await pass(2_000);
    expect([who(tab), await storedNames()]).toEqual(["ada", ["nobody's.docx"]]);
    await completed(world, tab, "ada's.docx", "pdf");
    world.server.endSession();
    world.server.login = null;
    tab = await world.tab(browser);
    expect([who(tab), await storedNames()]).toEqual([null, ["nobody's.docx"]]);
  });

  it("asks the server about no other one's", async () => {
    const { jobId } = await completed(world, tab, "nobody's.docx", "pdf");
    await signIn(tab, "ada");
    world.server.calls.length = 0;
    tab = await world.tab(browser);
    await tab.model.forgetAll();
    expect(JSON.stringify(world.server.calls)).not.toContain(jobId);
  });

  it("has files for as long as its plan keeps them", async () => {
    await signIn(tab, "bob");
    await uploaded(world, tab, "a.docx");
    expect(only(await stored()).expires_at).toBe(new Date(START + 30 * DAY).toISOString());
  });
});

describe("what others have sent", () => {
  it("stands among one's own, the newest first, each once, and page by page", async () => {
    for (let n = 0; n < 60; n++) elsewhere("id-of-ada", `${n}.docx`, 10 + n);
    elsewhere("id-of-ada", "never converted.docx", 5, { status: "uploaded" });
    await signIn(tab, "ada");
    await completed(world, tab, "own.docx", "pdf");
    expect(names(tab).slice(0, 3)).toEqual(["own.docx", "0.docx", "1.docx"]);
    expect([names(tab).length, tab.model.historyMore.value]).toEqual([50, "there"]);
    await tab.model.showMoreHistory();
    expect([names(tab).length, tab.model.historyMore.value]).toEqual([61, "none"]);
    tab = await world.tab(browser);
    expect(names(tab).filter((name) => name === "own.docx").length).toBe(1);
  });

  it("can be downloaded, converted again and deleted", async () => {
    const jobId = elsewhere("id-of-ada", "theirs.docx", 10);
    await signIn(tab, "ada");
    await tab.model.download(jobId);
    expect(tab.saved.length).toBe(1);
    tab.model.again(only(tab.model.history.value), "odt");
    await settle();
    expect(only(tab.model.items.value)).toMatchObject({ name: "theirs.docx", phase: "queued", target: "odt" });
    await tab.model.forget(jobId);
    expect(names(tab)).toEqual(["theirs.docx"]); // the copy
    expect(world.server.jobs.has(jobId)).toBe(false);
  });

  it("is followed while it runs", async () => {
    const jobId = elsewhere("id-of-ada", "theirs.docx", 10, { status: "processing" });
    await signIn(tab, "ada");
    only(tab.streams).say(world.server.complete(jobId));
    expect(only(tab.model.history.value).status).toBe("completed");
    expect(only(tab.streams).readyState).toBe(2);
  });

  it("that is deleted there is gone here, too", async () => {
    await signIn(tab, "ada");
    const { key, jobId } = await completed(world, tab, "own.docx", "pdf");
    tab.model.remove(key);
    await settle();
    world.server.jobs.delete(jobId);
    tab = await world.tab(browser);
    expect(names(tab)).toEqual([]);
    expect(await stored()).toEqual([]);
  });

  it("says why more of it can't be had, and can be asked again", async () => {
    for (let n = 0; n < 60; n++) elsewhere("id-of-ada", `${n}.docx`, 10 + n);
    await signIn(tab, "ada");
    world.server.answer = ({ path }) => (path.startsWith("/history") ? problem(429, "rate_limited") : undefined);
    await tab.model.showMoreHistory();
    expect(notices(tab)).toEqual(["rate_limited"]);
    world.server.answer = () => undefined;
    await tab.model.showMoreHistory();
    expect(names(tab).length).toBe(60);
  });

  it("is nothing to the plan free", async () => {
    elsewhere("id-of-bob", "theirs.docx", 10);
    await signIn(tab, "bob");
    expect(world.server.of("/history")).toEqual([]);
    expect([names(tab), notices(tab), tab.model.historyMore.value]).toEqual([[], [], "none"]);
  });
});

describe("to delete all files", () => {
  it("empties the account, and its history in all tabs", async () => {
    elsewhere("id-of-ada", "theirs.docx", 10);
    const other = await world.tab(browser);
    await signIn(tab, "ada");
    await completed(world, tab, "own.docx", "pdf");
    const closings = world.server.of("/session/close").length;
    await tab.model.deleteEverything();
    await settle();
    expect(world.server.jobs.size).toBe(0);
    for (const each of [tab, other]) expect([names(each), each.model.items.value, who(each)]).toEqual([[], [], "ada"]);
    expect([notices(tab), notices(other)]).toEqual([["deleted_files"], ["emptied"]]);
    expect(await stored()).toEqual([]);
    expect(world.server.of("/session/close").length).toBe(closings);
  });

  it("tries again what another one needed, and says what is left", async () => {
    await signIn(tab, "ada");
    await completed(world, tab, "own.docx", "pdf");
    let left = 1;
    world.server.answer = ({ method }) => {
      if (method !== "DELETE") return undefined;
      if (left === 0) world.server.jobs.clear();
      return new Response(JSON.stringify({ deleted: 1, left: left-- }));
    };
    await tab.model.deleteEverything();
    expect([left, names(tab)]).toEqual([-1, []]);
    await completed(world, tab, "second.docx", "pdf");
    world.server.answer = ({ method }) => (method === "DELETE" ? new Response(JSON.stringify({ deleted: 0, left: 1 })) : undefined);
    await tab.model.deleteEverything();
    expect(notices(tab)).toContain("deleted_some");
    expect(names(tab)).toEqual(["second.docx"]);
  });

  it("is one by one for the plan free", async () => {
    const other = await world.tab(browser);
    await signIn(tab, "bob");
    const { key } = await completed(world, tab, "past.docx", "pdf");
    tab.model.remove(key);
    await completed(world, tab, "row.docx", "pdf");
    await uploaded(world, tab, "ready.docx");
    await tab.model.deleteEverything();
    expect([names(tab), tab.model.items.value, world.server.jobs.size]).toEqual([[], [], 0]);
    await settle();
    expect([notices(tab), notices(other)]).toEqual([["deleted_files"], ["emptied"]]);
    expect(who(tab)).toBe("bob");
  });
});

describe("to sign out", () => {
  it("ends login and session, and leaves the account its files", async () => {
    await signIn(tab, "ada");
    await completed(world, tab, "a.docx", "pdf");
    await tab.model.signOut();
    await settle();
    expect([world.server.login, who(tab), names(tab), tab.model.items.value]).toEqual([null, null, [], []]);
    expect(world.server.jobsOf("id-of-ada").size).toBe(1);
    expect(notices(tab)).toEqual(["signed_out"]);
    expect(paths().slice(-4)).toEqual(["/session/init", "/auth/logout", "/session/close", "/session/init"]);
    tab = await world.tab(browser);
    expect([who(tab), names(tab), world.server.of("/auth/refresh")]).toEqual([null, [], []]);
  });

  it("that fails leaves the page as it is, and says so", async () => {
    await signIn(tab, "ada");
    await completed(world, tab, "a.docx", "pdf");
    world.server.answer = ({ path }) => (path === "/session/close" ? "lost" : undefined);
    await tab.model.signOut();
    expect([who(tab), names(tab), notices(tab)]).toEqual(["ada", ["a.docx"], ["network"]]);
    world.server.answer = () => undefined;
    await tab.model.signOut();
    expect(who(tab)).toBeNull();
  });
});

describe("an answer that was lost", () => {
  it("of the sign-in's last step makes the page the account's as soon as it can be", async () => {
    let bound = 0;
    world.server.answer = ({ authorization }) => (authorization !== null && ++bound === 1 ? "lost" : undefined);
    expect(await signIn(tab, "ada")).toMatchObject({ code: "network" });
    await pass(2_000);
    expect(who(tab)).toBe("ada");
  });

  it("of the sign-out's last step leaves nothing of the account", async () => {
    await signIn(tab, "ada");
    await completed(world, tab, "a.docx", "pdf");
    world.server.answer = ({ path }) => (path === "/session/init" && world.server.login === null ? "lost" : undefined);
    await tab.model.signOut();
    world.server.answer = () => undefined;
    await pass(2_000);
    expect([who(tab), names(tab), tab.model.items.value]).toEqual([null, [], []]);
  });
});

describe("a session of an account that has ended", () => {
  it("is followed by another one while the login lasts, and nothing is lost", async () => {
    await signIn(tab, "bob");
    const { key, jobId } = await completed(world, tab, "a.docx", "pdf");
    world.server.endSession();
    await pass(DAY);
    expect(who(tab)).toBe("bob");
    expect(notices(tab)).toEqual([]);
    expect(tab.model.items.value).toMatchObject([{ key, jobId, phase: "completed" }]);
  });

  it("is found out by a call, which is made again then", async () => {
    await signIn(tab, "bob");
    const { key, jobId } = await uploaded(world, tab, "a.docx");
    world.server.endSession();
    tab.model.setTarget(key, "pdf");
    tab.model.convert(key);
    await settle();
    expect(only(tab.model.items.value)).toMatchObject({ phase: "queued", jobId });
  });

  it("makes no file lost while another one is asked for", async () => {
    browser = { ...browser, EventSource: undefined }; // so that there is always a question under way
    tab = await world.tab(browser);
    await signIn(tab, "bob");
    const { key, jobId } = await converting(world, tab, "a.docx", "pdf");
    let goOn: (said?: Response) => void = () => undefined;
    const told = () => new Promise<Response | undefined>((resolve) => (goOn = resolve));
    world.server.answer = ({ path }) => (path === "/auth/refresh" ? told() : undefined);
    world.server.endSession();
    void world.tab(browser); // has nobody's session now, and waits for the login
    for (const said of [problem(503, "unavailable"), undefined]) {
      await pass(3_000);
      goOn(said);
      await pass(3_000);
    }
    goOn();
    await pass(3_000);
    expect([who(tab), row(tab, key)]).toMatchObject(["bob", { phase: "queued", jobId, problem: null }]);
    expect(only(tab.model.history.value)).toMatchObject({ status: "queued", lost: false });
    world.server.jobs.delete(jobId);
    await pass(3_000);
    expect(only(tab.model.history.value).lost).toBe(true); // but by nobody's word for ever
  });

  it("is nobody's, where the login has ended, too", async () => {
    await signIn(tab, "bob");
    await completed(world, tab, "a.docx", "pdf");
    world.server.endSession();
    world.server.login = null;
    await pass(DAY);
    expect([who(tab), names(tab), tab.model.items.value, notices(tab)]).toEqual([null, [], [], ["signed_out"]]);
    const asked = world.server.of("/auth/refresh").length;
    tab = await world.tab(browser);
    expect([world.server.of("/auth/refresh").length, await stored()]).toEqual([asked, []]);
  });

  it("waits for a server that can't say whether the login lasts", async () => {
    await signIn(tab, "bob");
    world.server.endSession();
    world.server.answer = ({ path }) => (path === "/auth/refresh" ? problem(503, "unavailable") : undefined);
    tab = await world.tab(browser);
    expect([tab.model.session.value, tab.model.connection.value]).toEqual([null, "lost"]);
    world.server.answer = () => undefined;
    await pass(2_000);
    expect([who(tab), tab.model.connection.value]).toEqual(["bob", "up"]);
  });

  it("is refreshed by one tab, however many find out", async () => {
    await signIn(tab, "bob");
    const tabs = [tab, await world.tab(browser), await world.tab(browser)];
    let asking = 0;
    world.server.answer = async ({ path }) => {
      if (path !== "/auth/refresh") return undefined;
      expect(++asking).toBe(1);
      await settle();
      asking--;
      return undefined;
    };
    world.server.endSession();
    await pass(DAY);
    expect(tabs.map(who)).toEqual(["bob", "bob", "bob"]);
    expect(world.server.of("/auth/refresh").length).toBe(1);
  });

  it("isn't refreshed where tabs can't keep out of one another's way", async () => {
    browser = { ...browser, locks: undefined };
    tab = await world.tab(browser);
    await signIn(tab, "bob");
    world.server.endSession();
    tab = await world.tab(browser);
    expect([who(tab), world.server.of("/auth/refresh").length]).toEqual([null, 0]);
  });
});

const WAYS: Record<string, (nobodys: Tab) => Promise<Tab>> = {
  async password(nobodys) {
    await signIn(nobodys, "ada");
    return nobodys;
  },
  "single sign-on"() {
    world.server.login = "ada";
    return world.tab({ ...browser, returnedBy: (name) => (name === "signed_in" ? "1" : null) });
  },
};

describe.each(Object.keys(WAYS))("what was dropped before signing in by %s", (way) => {
  it("is deleted, as was said, and nobody's past afterwards", async () => {
    const other = await world.tab(browser);
    await completed(world, tab, "done.docx", "pdf");
    await converting(world, tab, "running.docx", "pdf");
    tab.model.add([file("on its way.docx")]);
    await settle();
    tab = (await WAYS[way]?.(tab)) ?? tab;
    await settle();
    for (const each of [tab, other]) expect([who(each), names(each), each.model.items.value]).toEqual(["ada", [], []]);
    expect([notices(tab), notices(other)]).toEqual([[], ["signed_in"]]);
    expect(world.server.jobsOf("").size).toBe(0);
    await pass(1_000);
    await tab.model.signOut();
    await settle();
    for (const each of [tab, other]) {
      expect([who(each), each.model.items.value, notices(each)]).toEqual([null, [], ["signed_out"]]);
      const past = each.model.history.value.map((entry) => [entry.original_filename, [entry.status, entry.lost]]);
      expect(Object.fromEntries(past)).toEqual({ "running.docx": ["failed", true], "done.docx": ["completed", true] });
    }
  });
});

describe("single sign-on", () => {
  it("comes back with a login, which the page takes", async () => {
    await completed(world, tab, "nobody's.docx", "pdf");
    world.server.login = "ada";
    const other = tab;
    tab = await world.tab({ ...browser, returnedBy: (name) => (name === "signed_in" ? "1" : null) });
    expect([who(tab), names(tab)]).toEqual(["ada", []]);
    expect(world.server.jobsOf("").size).toBe(0);
    expect(who(other)).toBe("ada");
    tab = await world.tab(browser);
    expect(world.server.of("/auth/refresh").length).toBe(1);
  });

  it.each([
    ["denied", "sso_denied"],
    ["<b>", "sso_invalid"],
  ])("that went wrong (%s) says why", async (said, code) => {
    tab = await world.tab({ ...browser, returnedBy: (name) => (name === "login_error" ? said : null) });
    expect([who(tab), notices(tab), world.server.of("/auth/refresh")]).toEqual([null, [code], []]);
  });

  it("that has brought none is no login", async () => {
    tab = await world.tab({ ...browser, returnedBy: (name) => (name === "signed_in" ? "1" : null) });
    expect([who(tab), notices(tab)]).toEqual([null, []]);
  });
});

describe("two tabs", () => {
  it("sign in and out together", async () => {
    const other = await world.tab(browser);
    await converting(world, other, "nobody's.docx", "pdf");
    await signIn(tab, "bob");
    expect([who(other), names(other), other.model.items.value]).toEqual(["bob", [], []]);
    await completed(world, tab, "a.docx", "pdf");
    expect(names(other)).toEqual(["a.docx"]);
    await other.model.signOut();
    await settle();
    expect([who(tab), names(tab), tab.model.items.value]).toEqual([null, ["nobody's.docx"], []]);
  });

  it("do so without a channel, at the next call", async () => {
    const alone = { ...browser, BroadcastChannel: undefined };
    const other = await world.tab(alone);
    tab = await world.tab(alone);
    const { key } = await uploaded(world, other, "a.docx");
    await signIn(tab, "bob");
    other.model.setTarget(key, "pdf");
    other.model.convert(key);
    await settle();
    expect([who(other), other.model.items.value, world.server.jobs.size]).toEqual(["bob", [], 0]);
  });

  it("follow the account's stream, and not the session's that was", async () => {
    await converting(world, tab, "nobody's.docx", "pdf");
    elsewhere("id-of-ada", "theirs.docx", 10, { status: "processing" });
    await signIn(tab, "ada");
    expect(tab.streams.map(({ readyState }) => readyState === 2)).toEqual([true, false]);
  });
});
