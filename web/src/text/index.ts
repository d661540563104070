// Words in the reader's language: the first of the browser's languages that there is, else English. English comes with the page; another language is loaded
// before the page is drawn.

import { en } from "./en";

export type TextKey = keyof typeof en;
type Plural = { readonly one: string; readonly other: string };
export type Texts = { readonly [K in TextKey]: string | Plural };
type Values = Record<string, string | number>;
type Names = Readonly<Record<string, string>>;

/** The page's own words, and those for what the server says in English: by the id of the format, the option's name, "name.choice". */
export interface Language {
  words: Texts;
  formats: Names;
  options: Names;
  choices: Names;
}

const english: Language = { words: en, formats: {}, options: {}, choices: {} };

const LANGUAGES: Record<string, () => Promise<Language>> = {
  en: () => Promise.resolve(english),
  de: () => import("./de").then(({ german }) => german),
};

const wanted = (globalThis.navigator?.languages ?? []).map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag in LANGUAGES) ?? "en";
const loaded = await LANGUAGES[wanted]?.().catch(() => null); /* rather a page in English than none */
const spoken = loaded ?? english;

export const language = loaded ? wanted : "en";

const plurals = new Intl.PluralRules(language);

function form(text: string | Plural, values: Values): string {
  if (typeof text === "string") return text;
  const count = Number(values["count"] ?? values["minutes"] ?? 0);
  return plurals.select(count) === "one" ? text.one : text.other;
}

export function t(key: TextKey, values: Values = {}): string {
  return form(spoken.words[key], values).replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

function has(key: string): key is TextKey {
  return Object.hasOwn(spoken.words, key);
}

/** For keys that are made of what the server says: `otherwise` where there is no such text. */
export function tOr(key: string, otherwise: string, values: Values = {}): string {
  return has(key) ? t(key, values) : otherwise;
}

/** Of the names in these three the English ones are the server's; they stand where there is no other. */
export function formatLabel(id: string, label: string): string {
  return spoken.formats[id] ?? label;
}

export function optionLabel(name: string, label: string): string {
  return spoken.options[name] ?? label;
}

export function choiceLabel(name: string, choice: string): string {
  return spoken.choices[`${name}.${choice}`] ?? choice;
}
