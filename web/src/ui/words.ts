// Sizes, times and states as people read them.

import type { Overall } from "../model/batch";
import type { FontSubstitution, Item, Limits, Phase, Problem } from "../model/types";
import { language, optionLabel, t, tOr, type TextKey } from "../text";

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;

/* Made once, as that takes longer than all else that is done with them. */
const SIZES = UNITS.map(
  (unit, power) =>
    new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: power === 0 ? "long" : "short", maximumFractionDigits: power < 2 ? 0 : 1 }),
);
const RELATIVE = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const CLOCK = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });

/** Decimal units, as file managers have them: "12.3 MB". */
export function size(bytes: number): string {
  const power = Math.min(UNITS.length - 1, bytes < 1 ? 0 : Math.floor(Math.log10(bytes) / 3));
  return SIZES[power]?.format(bytes / 1000 ** power) ?? "";
}

/** Limits are powers of two, as the server has them: 104857600 is "100 MB" to people. */
export function limit(bytes: number): string {
  return size(bytes % 1048576 === 0 ? (bytes / 1048576) * 1e6 : bytes);
}

const SPANS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
];

/** "in 24 hours", "5 minutes ago"; days from two on, as "tomorrow" says too little of when files go. */
export function relative(time: string, now: number): string {
  const seconds = (Date.parse(time) - now) / 1000;
  for (const [unit, length] of SPANS) if (Math.abs(seconds) >= length * (unit === "day" ? 2 : 1)) return RELATIVE.format(Math.round(seconds / length), unit);
  return RELATIVE.format(Math.round(seconds), "second");
}

/** "30 days", "24 hours" */
export function duration(seconds: number): string {
  const [unit, length] = SPANS.find(([unit, length]) => seconds >= length * (unit === "day" ? 2 : 1)) ?? ["second", 1];
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 }).format(seconds / length);
}

export function clock(time: string): string {
  return CLOCK.format(new Date(time));
}

/**
 * Where one code has several reasons, the server's sentence alone says which it is. Known by their beginnings, so that the page has them in its own words;
 * a test compares with the server's.
 */
export const REASONS: readonly (readonly [sentence: string, words: TextKey])[] = [
  ["The file declares XML entities", "reason.refers"],
  ["The file is of two kinds", "reason.two_kinds"],
  ["The conversion needed more memory", "error.too_complex"],
  ["The virus scanner could not look", "reason.scan_incomplete"],
  ["A part of this file is encrypted", "reason.scan_encrypted"],
];

const reasonOf = (p: Problem) => REASONS.find(([sentence]) => p.detail.startsWith(sentence))?.[1];

/* Of these the server may know more than its code says: its sentence follows ours. */
const TOLD_BY_THE_SERVER = new Set(["type_mismatch", "too_complex", "bad_request", "unavailable"]);

export function problem(p: Problem, limits: Limits | undefined): string {
  const values = { limit: limit(limits?.max_upload_bytes ?? 0), option: optionLabel(p.detail, p.label ?? p.detail) };
  return tOr(reasonOf(p) ?? `error.${p.code}`, p.detail || t("error.unexpected"), values);
}

/** The server's own words, which are English; "" where ours say as much. */
export function serversWords(p: Problem): string {
  return TOLD_BY_THE_SERVER.has(p.code) && !reasonOf(p) ? p.detail : "";
}

export function phase(item: Item): string {
  return t(`phase.${item.phase}` as TextKey, { sent: size(item.sent), size: size(item.size), percent: Math.round(item.progress) });
}

/** Of all rows together. What was refused was never to be converted, and is told apart. */
export function standing(items: readonly Item[], { running, percent }: Overall): string {
  const count = (phase: Phase) => items.filter((item) => item.phase === phase).length;
  const [done, failed, refused] = [count("completed"), count("failed"), count("refused")];
  const first =
    running > 0
      ? t("list.progress", { count: running, percent: Math.floor(percent / 25) * 25 })
      : done > 0
        ? t("list.done", { count: done })
        : t("list.count", { count: items.length });
  return [first, ...(failed > 0 ? [t("notify.failed", { count: failed })] : []), ...(refused > 0 ? [t("list.refused", { count: refused })] : [])].join(". ");
}

/** "" where text looks as it did. One font may have several in its place, each for some of its letters. */
export function replacedFonts(all: readonly FontSubstitution[]): string {
  const fonts = all.filter((font) => !font.metric_compatible);
  if (fonts.length === 0) return "";
  return t("row.fonts", { count: new Set(fonts.map(({ font }) => font)).size, list: fonts.map(({ font, used }) => `${font} → ${used}`).join(", ") });
}

/** The name of a control of one row: begins with what is seen on it, as who speaks to the page says that. */
export function of(action: string, name: string): string {
  return `${action}: ${name}`;
}

export function category(name: string): string {
  return tOr(`category.${name}`, name);
}
