// Who is signed in, and how to. One button for both ways, so that the focus has where to come back to.

import { useSignal, type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Problem } from "../model/types";
import { t, type TextKey } from "../text";
import { useModel } from "./context";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";
import { problem as wordsOf, relative } from "./words";

const SINGLE_SIGN_ON = `/auth/oidc/login?return=${encodeURIComponent("/?signed_in=1")}`;

/** What is wrong with it is said at the field, and when another try makes sense. */
function refusal(problem: Problem, now: number): string {
  if (problem.code === "rate_limited" && problem.retryAfter)
    return t("signin.tooMany", { time: relative(new Date(now + problem.retryAfter * 1000).toISOString(), now) });
  if (problem.code === "network") return t("signin.away");
  if (problem.code === "not_found") return t("signin.off");
  return wordsOf(problem, undefined);
}

function PasswordForm({ sending, onDone }: { sending: Signal<boolean>; onDone: () => void }) {
  const model = useModel();
  const why = useSignal<string | null>(null);
  const name = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);

  async function send(): Promise<void> {
    if (sending.value || !name.current || !password.current) return;
    sending.value = true;
    why.value = null;
    const refused = await model.signIn(name.current.value.trim(), password.current.value);
    sending.value = false;
    if (!refused) return onDone();
    why.value = refusal(refused, model.now.value);
    password.current?.select();
    password.current?.focus();
  }

  return (
    <form
      class="signin"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <label>
        {t("signin.name")}
        <input ref={name} type="text" name="username" autocomplete="username" autofocus autocapitalize="none" spellcheck={false} required maxLength={64} />
      </label>
      <label>
        {t("signin.password")}
        <input
          ref={password}
          type="password"
          name="password"
          autocomplete="current-password"
          required
          maxLength={1024}
          aria-describedby="signin-why"
          aria-invalid={why.value !== null}
        />
      </label>
      <p id="signin-why" class="why" role="alert">
        {why.value}
      </p>
      <div class="buttons">
        <button type="submit" class="primary" aria-disabled={sending.value}>
          {t(sending.value ? "signin.sending" : "signin.do")}
        </button>
      </div>
    </form>
  );
}

/** What is on the server and belongs to nobody goes with its session. */
function useLeavesFiles(): boolean {
  const model = useModel();
  return model.items.value.length > 0 || model.history.value.some((entry) => !entry.lost && Date.parse(entry.expires_at) > model.now.value);
}

function SignIn({ onClose }: { onClose: () => void }) {
  const { password, oidc } = useModel().session.value?.logins ?? { password: false, oidc: false };
  const leaves = useLeavesFiles();
  const sending = useSignal(false);

  // What is on its way to the server can't be called off: the window stays until it is known what has come of it.
  return (
    <Dialog title={t("signin.title")} onClose={onClose} stays={sending}>
      {leaves && <p class="notice">{t("signin.leaves")}</p>}
      {oidc && (
        <a class="button" href={SINGLE_SIGN_ON}>
          {t("signin.organisation")}
        </a>
      )}
      {oidc && password && <p class="or">{t("signin.or")}</p>}
      {password && <PasswordForm sending={sending} onDone={onClose} />}
    </Dialog>
  );
}

export function Account() {
  const model = useModel();
  const asking = useSignal(false);
  const session = model.session.value;
  const account = session?.account;
  const leaving = useRef(false);
  const taken = session?.logins?.password || session?.logins?.oidc;

  useEffect(() => {
    if (account) asking.value = false; /* another tab may have been faster */
  }, [account]);

  /** Once for a double click: the second one would be about nobody's session. */
  async function signOut(): Promise<void> {
    if (leaving.current) return;
    leaving.current = true;
    await model.signOut();
    leaving.current = false;
  }

  if (!account && !taken) return null;
  return (
    <div class="account">
      {account && (
        <p class="who">
          <Icon name="person" />
          <bdi title={account.name}>{account.name}</bdi> <span class="plan">{t(`plan.${session.plan ?? "free"}` as TextKey)}</span>
        </p>
      )}
      <button type="button" class="quiet" onClick={() => (account ? void signOut() : (asking.value = true))}>
        {!account && <Icon name="person" />} {t(account ? "signin.out" : "signin.title")}
      </button>
      {asking.value && !account && <SignIn onClose={() => (asking.value = false)} />}
    </div>
  );
}
