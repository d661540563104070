// Where the focus goes when the button that had it is gone: buttons of a row come and go with its state, and the focus must not fall to the page.

import type { RefObject } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

/** For an element with tabIndex -1: it takes the focus of a control within that is drawn no more. */
export function useKeptFocus<T extends HTMLElement>(): RefObject<T | null> {
  const element = useRef<T>(null);
  const had = element.current?.contains(document.activeElement) ?? false; /* as long as the old ones stand */

  useLayoutEffect(() => {
    if (had && !element.current?.contains(document.activeElement)) element.current?.focus();
  });
  return element;
}

/** Before it is removed: to its neighbour, or the page's main part. */
export function passFocus(element: HTMLElement | null): void {
  const next = element?.nextElementSibling ?? element?.previousElementSibling ?? document.getElementById("main");
  if (next instanceof HTMLElement) next.focus();
}
