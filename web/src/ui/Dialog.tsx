// A modal window by the browser's own <dialog>: it keeps the focus inside, closes with Escape, and gives the focus back to what opened it.

import type { ComponentChildren } from "preact";
import type { Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../text";
import { Icon } from "./Icon";

interface Props {
  title: string;
  class?: string;
  onClose: () => void;
  /** It can't be closed while that is so. */
  stays?: Signal<boolean>;
  children: ComponentChildren;
}

export function Dialog({ title, class: name = "", onClose, stays, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const close = () => !stays?.value && dialog.current?.close();

  useEffect(() => {
    const opener = document.activeElement;
    dialog.current?.showModal();
    return () => {
      const still = opener?.isConnected ? opener : document.getElementById("main"); /* its row may be gone, by another tab */
      if (still instanceof HTMLElement) still.focus();
    };
  }, []);

  return (
    // What is behind the window's edge is the dialog itself: a click there closes it.
    <dialog
      ref={dialog}
      class={name}
      aria-label={title}
      onClose={onClose}
      onCancel={(event) => stays?.value && event.preventDefault()}
      onClick={(event) => event.target === dialog.current && close()}
    >
      <div class="window">
        <div class="head">
          <h2>{title}</h2>
          <button type="button" class="bare" aria-label={t("close")} onClick={close}>
            <Icon name="close" />
          </button>
        </div>
        {children}
      </div>
    </dialog>
  );
}
