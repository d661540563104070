// Words in the reader's language: the first of the browser's languages that there is, else English.

import { de } from "./de";
import { en } from "./en";
import { german } from "./options.de";

export type TextKey = keyof typeof en;
type Plural = { readonly one: string; readonly other: string };
export type Texts = { readonly [K in TextKey]: string | Plural };
type Values = Record<string, string | number>;

const LANGUAGES: Record<string, Texts> = { en, de };

export const language = (globalThis.navigator?.languages ?? ["en"]).map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag in LANGUAGES) ?? "en";

const texts = LANGUAGES[language] as Texts;
const plurals = new Intl.PluralRules(language);

function form(text: string | Plural, values: Values): string {
  if (typeof text === "string") return text;
  const count = Number(values["count"] ?? values["minutes"] ?? 0);
  return plurals.select(count) === "one" ? text.one : text.other;
}

export function t(key: TextKey, values: Values = {}): string {
  return form(texts[key], values).replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

function has(key: string): key is TextKey {
  return Object.hasOwn(texts, key);
}

/** For keys that are made of what the server says: `otherwise` where there is no such text. */
export function tOr(key: string, otherwise: string, values: Values = {}): string {
  return has(key) ? t(key, values) : otherwise;
}

/** The server's labels are English: other languages have their own, by the option's name. */
export function optionLabel(name: string, label: string): string {
  return language === "de" ? (german.labels[name] ?? label) : label;
}

export function choiceLabel(name: string, choice: string): string {
  return (language === "de" ? german.choices[`${name}.${choice}`] : undefined) ?? choice;
}
