// Options of a conversion: which values one takes, which of them have to be sent, and which must never be kept.

import type { Catalogue } from "./model";
import type { OptionSpec, Options, OptionType, OptionValue } from "./types";

const CONTROLS = /[\u0000-\u001f\u007f]/;

function isText(spec: OptionSpec, value: OptionValue): boolean {
  // In characters, as the server counts: not in the halves that some of them have in JavaScript.
  return typeof value === "string" && !CONTROLS.test(value) && [...value].length <= (spec.max_length ?? Infinity);
}

function isChoice(spec: OptionSpec, value: OptionValue): boolean {
  return typeof value === "string" && (spec.choices?.includes(value) ?? true);
}

const VALID: Record<OptionType, (spec: OptionSpec, value: OptionValue) => boolean> = {
  integer: ({ min = -Infinity, max = Infinity }, value) => typeof value === "number" && Number.isInteger(value) && value >= min && value <= max,
  boolean: (_, value) => typeof value === "boolean",
  choice: isChoice,
  set: (spec, value) => typeof value === "string" && value.split("+").every((part) => isChoice(spec, part)),
  // What the document has is the server's to know.
  pages: (spec, value) => isText(spec, value) && value !== "",
  string: isText,
  format: (_, value) => typeof value === "string" && value !== "",
  colour: isText,
};

/** A type that this page doesn't know is left to the server. */
export function isValid(spec: OptionSpec, value: OptionValue): boolean {
  return VALID[spec.type]?.(spec, value) ?? true;
}

/** Those that differ from what the server does anyway, of those that there are. */
export function toSend(specs: readonly OptionSpec[], options: Options): Options {
  const sent: Options = {};
  for (const spec of specs) {
    const value = options[spec.name];
    if (value !== undefined && value !== "" && value !== (spec.default ?? undefined)) sent[spec.name] = value;
  }
  return sent;
}

/** The first with a value that it can't have. */
export function firstInvalid(specs: readonly OptionSpec[], options: Options): OptionSpec | undefined {
  return specs.find((spec) => {
    const value = options[spec.name];
    return value !== undefined && value !== "" && !isValid(spec, value);
  });
}

/** Of another pair: what it has, too, and can be of that value. */
export function carriedOver(specs: readonly OptionSpec[], options: Options): Options {
  return Object.fromEntries(
    specs.flatMap((spec) => {
      const value = options[spec.name];
      return value !== undefined && isValid(spec, value) ? [[spec.name, value]] : [];
    }),
  );
}

/** Those of `names` that have no value: a conversion without them would be another one than was asked for. */
export function withoutValue(names: readonly string[], options: Options): string[] {
  return names.filter((name) => options[name] === undefined || options[name] === "");
}

/** Without passwords. While there is no catalogue to say what is one, nothing is sure. */
export function withoutSecrets(catalogue: Catalogue | null, options: Options): Options {
  if (!catalogue) return {};
  const specs = Object.values(catalogue.formats.options);
  const secret = new Set(specs.filter((spec) => spec.secret).map((spec) => spec.name));
  const known = new Set(specs.map((spec) => spec.name));
  return Object.fromEntries(Object.entries(options).filter(([name]) => known.has(name) && !secret.has(name)));
}
