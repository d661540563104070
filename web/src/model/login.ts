// Who is signed in. The browser's session belongs to an account, and acts for it by cookie and CSRF token as any session does; the access token is needed only
// to make it so, and is dropped then. A session lasts for a day, the login (a cookie that no script sees) for a month: so where the session is nobody's and
// somebody had signed in, the login makes another one.
//
// Each refresh token is good once, and one that comes again ends the login. So all of this happens under the lock of all tabs that session.ts holds; a browser
// without locks refreshes nothing by itself.

import type { Api } from "./api";
import type { Environment } from "./environment";
import { asFailure, Failure, isTransient } from "./failure";
import type { Tabs } from "./tabs";
import type { Session } from "./types";

/** Somebody has signed in here: nothing but that. */
const KEY = "decant.signed_in";
/** Single sign-on comes back with the one (ui/Account.tsx asks it to), or with the other. */
const RETURNED = "signed_in";
const REFUSED = "login_error";
const TROUBLES = ["denied", "expired", "invalid", "unavailable", "disabled", "unknown", "name_taken"];

export interface Login {
  /** May there be one that outlives the session? */
  mayLast(): boolean;
  /** Why single sign-on came back without a login, said once; null: it didn't. */
  trouble(): Failure | null;
  /** The browser's session; that of the account, where its login lasts. */
  session(): Promise<Session>;
  /** What the session has that there is nobody could reach any more: it is deleted. */
  signIn(name: string, password: string): Promise<Session>;
  signOut(): Promise<Session>;
  /** From now on the page acts for it. */
  is(session: Session): void;
}

export function createLogin(env: Environment, api: Api, tabs: Tabs): Login {
  let lasts = env.storage?.getItem(KEY) === "yes";
  let returned = env.returnedBy(RETURNED) !== null;

  function remember(signedIn: boolean): void {
    lasts = signedIn;
    if (signedIn) env.storage?.setItem(KEY, "yes");
    else env.storage?.removeItem(KEY);
  }

  /** null: there is no login, or it has ended. */
  async function refreshed(): Promise<string | null> {
    try {
      return await api.refresh();
    } catch (thrown) {
      const failure = asFailure(thrown);
      if (isTransient(failure)) throw failure;
      return null;
    }
  }

  /** `before` is what the browser has, if that is to end. */
  async function bind(accessToken: string, before: Session | null): Promise<Session> {
    remember(true); /* the cookie is there, whatever comes now */
    // What isn't deleted now is when its session ends: no reason to stay outside.
    if (before) await api.leave(before).catch(asFailure);
    const session = await api.init(accessToken);
    tabs.tell({ type: "handed_over" });
    return session;
  }

  return {
    mayLast: () => lasts || returned,
    trouble() {
      const said = env.returnedBy(REFUSED);
      if (said === null) return null;
      return new Failure({ code: `sso_${TROUBLES.includes(said) ? said : "invalid"}`, detail: "" }, 0);
    },
    async session() {
      const session = await api.init();
      lasts = env.storage ? env.storage.getItem(KEY) === "yes" : lasts; /* another tab may have signed in or out */
      // Who comes back from single sign-on may be another one than whose session this is.
      if (!returned && (session.account || !(lasts && env.locks))) return session;
      const accessToken = await refreshed();
      const bound = accessToken === null ? session : await bind(accessToken, returned ? session : null);
      if (!bound.account) remember(false);
      returned = false;
      return bound;
    },
    async signIn(name, password) {
      const accessToken = await api.login(name, password);
      return bind(accessToken, await api.init());
    },
    async signOut() {
      await api.logout(await api.init()); /* another tab may have begun another session, with a token of its own */
      remember(false);
      tabs.tell({ type: "handed_over" });
      return api.init();
    },
    is: api.is,
  };
}
