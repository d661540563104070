import { useSignal } from "@preact/signals";
import { t } from "../text";
import { useModel } from "./context";
import { Dialog } from "./Dialog";
import { Icon, Logo } from "./Icon";
import { clock, relative } from "./words";

function DeleteEverything() {
  const model = useModel();
  const asking = useSignal(false);
  const stop = () => (asking.value = false);

  return (
    <>
      <button type="button" class="quiet" onClick={() => (asking.value = true)}>
        <Icon name="trash" /> {t("session.delete")}
      </button>
      {asking.value && (
        <Dialog title={t("session.delete")} onClose={stop}>
          <p>{t("session.deleteSure")}</p>
          <div class="buttons">
            <button type="button" onClick={stop}>
              {t("session.deleteNo")}
            </button>
            <button
              type="button"
              class="danger"
              onClick={() => {
                stop();
                void model.deleteEverything();
              }}
            >
              {t("session.deleteYes")}
            </button>
          </div>
        </Dialog>
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
        {session && (
          <p>
            <time dateTime={session.expires_at} title={clock(session.expires_at)}>
              {t("session.until", { time: relative(session.expires_at, model.now.value) })}
            </time>
          </p>
        )}
        {"Notification" in globalThis && (
          <label class="toggle">
            <input type="checkbox" checked={model.notifies.value} onChange={(event) => void ask(event.currentTarget)} /> {t("session.notify")}
          </label>
        )}
        <DeleteEverything />
      </div>
    </header>
  );
}
