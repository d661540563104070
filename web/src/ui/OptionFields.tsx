// Fields for the options that the catalogue has for a pair of formats: nothing here knows an option by its name.

import { useComputed, useSignal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";
import type { OptionSpec, Options, OptionValue } from "../model/types";
import { choiceLabel, language, optionLabel, t } from "../text";
import { useModel } from "./context";

interface FieldProps {
  id: string;
  spec: OptionSpec;
  value: OptionValue | undefined;
  set: (value: OptionValue | null) => void;
}

type Field = (props: FieldProps) => JSX.Element;

const WHITE = "#ffffff";
const FEW = 8; /* choices that are all shown at once */

function NumberField({ id, spec, value, set }: FieldProps) {
  const range = spec.min !== undefined && spec.max !== undefined ? t("option.range", { min: spec.min, max: spec.max }) : "";
  return (
    <>
      <input
        id={id}
        type="number"
        inputMode="numeric"
        min={spec.min}
        max={spec.max}
        step={1}
        value={typeof value === "number" ? value : ""}
        placeholder={spec.default === null || spec.default === undefined ? t("option.default") : String(spec.default)}
        aria-describedby={`${id}-hint`}
        onChange={(event) => set(event.currentTarget.value === "" ? null : event.currentTarget.valueAsNumber)}
      />
      <small id={`${id}-hint`}>{range}</small>
    </>
  );
}

function TextField({ id, spec, value, set }: FieldProps) {
  const pages = spec.type === "pages";
  const common = {
    id,
    spellcheck: false,
    maxLength: spec.max_length,
    value: typeof value === "string" ? value : "",
    "aria-describedby": pages ? `${id}-hint` : undefined,
    onChange: (event: { currentTarget: HTMLInputElement }) => set(event.currentTarget.value || null),
  };
  return (
    <>
      {spec.secret ? <input {...common} type="password" autocomplete="new-password" /> : <input {...common} type="text" autocomplete="off" />}
      {pages && <small id={`${id}-hint`}>{t("option.pagesHint")}</small>}
    </>
  );
}

function ColourField({ id, value, set }: FieldProps) {
  return (
    <span class="swatch">
      {value === undefined ? (
        <button id={id} type="button" onClick={() => set(WHITE)}>
          {t("option.default")}
        </button>
      ) : (
        <>
          <input id={id} type="color" value={String(value)} onChange={(event) => set(event.currentTarget.value)} />
          <button type="button" class="quiet" onClick={() => set(null)}>
            {t("option.reset")}
          </button>
        </>
      )}
    </span>
  );
}

function SwitchField({ id, spec, value, set }: FieldProps) {
  const on = value ?? spec.default ?? false;
  return (
    <input
      id={id}
      type="checkbox"
      checked={on === true}
      onChange={(event) => set(event.currentTarget.checked === (spec.default ?? false) ? null : event.currentTarget.checked)}
    />
  );
}

function Choice({ id, spec, value, set, choices }: FieldProps & { choices: { id: string; label: string }[] }) {
  return (
    <select id={id} onChange={(event) => set(event.currentTarget.value || null)}>
      {(spec.default === null || spec.default === undefined) && (
        <option value="" selected={value === undefined}>
          {t("option.default")}
        </option>
      )}
      {choices.map((choice) => (
        <option key={choice.id} value={choice.id} selected={choice.id === (value ?? spec.default)}>
          {choice.label}
        </option>
      ))}
    </select>
  );
}

function ChoiceField(props: FieldProps) {
  return <Choice {...props} choices={(props.spec.choices ?? []).map((id) => ({ id, label: choiceLabel(props.spec.name, id) }))} />;
}

function FormatField(props: FieldProps) {
  const catalogue = useModel().catalogue.value;
  const made = Object.values(catalogue?.formats.formats ?? {}).flatMap((format) => format.targets);
  const ids = props.spec.choices ?? [...new Set(made)].sort();
  return <Choice {...props} choices={ids.map((id) => ({ id, label: `${id.toUpperCase()} – ${catalogue?.label(id) ?? ""}` }))} />;
}

/** "deu" is "German" in English, and what has no name keeps its code (chi_sim). */
function languageName(code: string): string {
  const [base = code, ...rest] = code.split("_");
  const name = new Intl.DisplayNames(language, { type: "language", fallback: "none" }).of(base) ?? base;
  return rest.length > 0 ? `${name} (${rest.join(" ")})` : name;
}

function SetField({ id, spec, value, set }: FieldProps) {
  const chosen = new Set(typeof value === "string" ? value.split("+") : []);
  const query = useSignal("");
  const many = (spec.choices?.length ?? 0) > FEW;
  const labels = useComputed(() => new Map((spec.choices ?? []).map((choice) => [choice, many ? languageName(choice) : choiceLabel(spec.name, choice)])));
  const shown = (spec.choices ?? []).filter(
    (choice) => chosen.has(choice) || `${choice} ${labels.value.get(choice)}`.toLowerCase().includes(query.value.toLowerCase()),
  );

  /* "none" stands alone. */
  const excludes = (one: string, other: string) => one !== other && (one === "none" || other === "none");
  const toggle = (choice: string, on: boolean) => {
    const next = (spec.choices ?? []).filter((each) => (each === choice ? on : chosen.has(each) && !(on && excludes(each, choice))));
    set(next.length > 0 ? next.join("+") : null);
  };
  return (
    <div class="set" role="group" aria-labelledby={`${id}-label`}>
      {many && (
        <input
          type="search"
          aria-label={t("option.filter")}
          placeholder={`${t("option.filter")} · ${t("option.chosen", { count: chosen.size })}`}
          onInput={(event) => (query.value = event.currentTarget.value)}
        />
      )}
      <div class="choices">
        {shown.map((choice) => (
          <label key={choice} class="toggle">
            <input type="checkbox" checked={chosen.has(choice)} onChange={(event) => toggle(choice, event.currentTarget.checked)} /> {labels.value.get(choice)}
          </label>
        ))}
      </div>
    </div>
  );
}

const FIELDS: Record<OptionSpec["type"], Field> = {
  integer: NumberField,
  boolean: SwitchField,
  choice: ChoiceField,
  set: SetField,
  pages: TextField,
  string: TextField,
  format: FormatField,
  colour: ColourField,
};

function Labelled({ id, spec, children }: { id: string; spec: OptionSpec; children: ComponentChildren }) {
  const text = optionLabel(spec.name, spec.label);
  return (
    <div class={`field ${spec.type}`}>
      {spec.type === "set" ? <span id={`${id}-label`}>{text}</span> : <label for={id}>{text}</label>}
      {children}
    </div>
  );
}

interface Props {
  specs: OptionSpec[];
  options: Options;
  set: (name: string, value: OptionValue | null) => void;
}

export function OptionFields({ specs, options, set }: Props) {
  const id = useId();
  // A form, as browsers want one around passwords; there is nothing to be sent, and Enter changes the field that it is pressed in.
  return (
    <form class="fields" noValidate onSubmit={(event) => event.preventDefault()}>
      {specs.map((spec) => {
        const Field = FIELDS[spec.type] ?? TextField;
        const own = `${id}-${spec.name}`;
        return (
          <Labelled key={spec.name} id={own} spec={spec}>
            <Field id={own} spec={spec} value={options[spec.name]} set={(value) => set(spec.name, value)} />
          </Labelled>
        );
      })}
    </form>
  );
}
