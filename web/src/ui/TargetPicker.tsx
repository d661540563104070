// The target of one row or of all: a button, and a list that is searched by typing (a combobox with a listbox, after the ARIA patterns of the W3C).

import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { TargetGroup } from "../model/model";
import { t } from "../text";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";
import { category, of } from "./words";

interface Props {
  /** What it is for, for who doesn't see the row. */
  name: string;
  chosen: string | null;
  groups: (query: string) => TargetGroup[];
  onChoose: (target: string) => void;
  /** Not what the row is about: no frame, and "another format" in place of a choice. */
  quiet?: boolean;
  /** Offers to take the choice for all rows. */
  onChooseForAll?: ((target: string) => void) | undefined;
}

function List({ chosen, groups, onChoose, onChooseForAll, close }: Props & { close: () => void }) {
  const query = useSignal("");
  const found = useComputed(() => groups(query.value));
  const flat = useComputed(() => found.value.flatMap((group) => group.targets.map((target) => target.id)));
  const at = useSignal(Math.max(0, flat.value.indexOf(chosen ?? "")));
  const forAll = useSignal(false);
  const list = useRef<HTMLDivElement>(null);
  const current = flat.value[at.value];

  useEffect(() => list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" }), [current]);

  const choose = (id: string | undefined) => {
    if (!id) return;
    close();
    if (forAll.value && onChooseForAll) onChooseForAll(id);
    else onChoose(id);
  };
  const steps: Record<string, () => number> = {
    ArrowDown: () => Math.min(at.value + 1, flat.value.length - 1),
    ArrowUp: () => Math.max(at.value - 1, 0),
    PageDown: () => Math.min(at.value + 8, flat.value.length - 1),
    PageUp: () => Math.max(at.value - 8, 0),
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = steps[event.key];
    if (step) at.value = step();
    else if (event.key === "Enter") choose(current);
    else return;
    event.preventDefault();
  };

  let index = 0;
  return (
    <>
      <div class="search">
        <Icon name="search" />
        <input
          type="text"
          role="combobox"
          aria-expanded="true"
          aria-controls="targets"
          aria-autocomplete="list"
          aria-activedescendant={current ? `target-${current}` : undefined}
          aria-label={t("target.search")}
          placeholder={t("target.search")}
          autocomplete="off"
          spellcheck={false}
          autofocus
          onInput={(event) => {
            query.value = event.currentTarget.value;
            at.value = 0;
          }}
          onKeyDown={onKeyDown}
        />
      </div>
      {onChooseForAll && (
        <label class="toggle">
          <input type="checkbox" checked={forAll} onChange={(event) => (forAll.value = event.currentTarget.checked)} /> {t("target.useForAll")}
        </label>
      )}
      <p class="unseen" aria-live="polite">
        {query.value && t("target.results", { count: flat.value.length })}
      </p>
      <div ref={list} id="targets" class="targets" role="listbox" aria-label={t("target.title")} tabIndex={-1}>
        {found.value.map((group) => (
          <div key={group.category} role="group" aria-label={category(group.category)}>
            <div class="heading" role="presentation">
              {category(group.category)}
            </div>
            {group.targets.map((target) => {
              const mine = index++;
              return (
                <div
                  key={target.id}
                  id={mine === at.value ? `target-${target.id}` : undefined}
                  data-target={target.id}
                  role="option"
                  aria-selected={mine === at.value}
                  onClick={() => choose(target.id)}
                  onPointerMove={() => (at.value = mine)}
                >
                  <b>{target.id.toUpperCase()}</b> <span>{target.label}</span>
                </div>
              );
            })}
          </div>
        ))}
      </div>
      {flat.value.length === 0 && <p class="fine">{t("target.none")}</p>}
    </>
  );
}

export function TargetPicker(props: Props) {
  const words = props.chosen?.toUpperCase() ?? t(props.quiet ? "row.other" : "row.chooseTarget");
  const open = useSignal(false);
  const close = () => (open.value = false);

  return (
    <>
      <button
        type="button"
        class={props.quiet ? "picker quiet" : "picker"}
        aria-haspopup="dialog"
        aria-label={of(words, props.name)}
        onClick={() => (open.value = true)}
      >
        <span>{words}</span>
        <Icon name="chevron" />
      </button>
      {open.value && (
        <Dialog title={t("target.title")} class="pick" onClose={close}>
          <List {...props} close={close} />
        </Dialog>
      )}
    </>
  );
}
