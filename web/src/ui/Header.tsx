import { useSignal } from "@preact/signals";
import type { Session } from "../model/types";
import { t } from "../text";
import { Account } from "./Account";
import { useModel } from "./context";
import { Icon, Logo } from "./Icon";
import { Sure } from "./Sure";
import { clock, duration, relative } from "./words";

/* What "everything" is: a session's is all that there is; an account's is all, where its plan shows all, else what this browser knows. */
const DELETING = {
  session: { title: "session.delete", sure: "session.deleteSure", yes: "session.deleteYes" },
  account: { title: "account.delete", sure: "account.deleteSure", yes: "account.deleteYes" },
  known: { title: "account.delete", sure: "account.deleteKnown", yes: "account.deleteYes" },
} as const;

function deletingOf(session: Session | null): keyof typeof DELETING {
  if (!session?.account) return "session";
  return session.plan === "premium" ? "account" : "known";
}

/** How long files stay. */
function Kept({ session, now }: { session: Session; now: number }) {
  if (session.account) return <p>{t("account.kept", { time: duration(session.account.retention_seconds) })}</p>;
  return (
    <p>
      <time dateTime={session.expires_at} title={clock(session.expires_at)}>
        {t("session.until", { time: relative(session.expires_at, now) })}
      </time>
    </p>
  );
}

function DeleteEverything() {
  const model = useModel();
  const asking = useSignal(false);
  const texts = DELETING[deletingOf(model.session.value)];

  return (
    <>
      <button type="button" class="quiet" onClick={() => (asking.value = true)}>
        <Icon name="trash" /> {t(texts.title)}
      </button>
      {asking.value && (
        <Sure
          title={t(texts.title)}
          question={t(texts.sure)}
          yes={t(texts.yes)}
          onYes={() => void model.deleteEverything()}
          onClose={() => (asking.value = false)}
        />
      )}
    </>
  );
}

export function Header() {
  const model = useModel();
  const session = model.session.value;
  // The browser may say no, and then the box says so.
  const ask = async (box: HTMLInputElement) => {
    await model.setNotifies(box.checked);
    box.checked = model.notifies.value;
  };

  return (
    <header class="top">
      <div class="brand">
        <Logo />
        <div>
          <h1>{t("title")}</h1>
          <p>{t("tagline")}</p>
        </div>
      </div>
      <div class="session">
        {session && <Kept session={session} now={model.now.value} />}
        {"Notification" in globalThis && (
          <label class="toggle">
            <input type="checkbox" checked={model.notifies.value} onChange={(event) => void ask(event.currentTarget)} /> {t("session.notify")}
          </label>
        )}
        <DeleteEverything />
      </div>
      <Account />
    </header>
  );
}
