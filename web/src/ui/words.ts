// Sizes, times and states as people read them.

import type { Item, Limits, Problem } from "../model/types";
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

/** "in 23 hours", "5 minutes ago" */
export function relative(time: string, now: number): string {
  const seconds = (Date.parse(time) - now) / 1000;
  for (const [unit, length] of SPANS) if (Math.abs(seconds) >= length) return RELATIVE.format(Math.round(seconds / length), unit);
  return RELATIVE.format(Math.round(seconds), "second");
}

export function clock(time: string): string {
  return CLOCK.format(new Date(time));
}

/* Of these the server knows more than its code says: its sentence follows ours. */
const TOLD_BY_THE_SERVER = new Set(["type_mismatch", "too_complex", "bad_request", "bad_options", "unavailable"]);

export function problem(p: Problem, limits: Limits | undefined): string {
  return tOr(`error.${p.code}`, p.detail || t("error.unexpected"), { limit: limit(limits?.max_upload_bytes ?? 0), option: optionLabel(p.detail, p.detail) });
}

/** The server's own words, which are English; "" where ours say as much. */
export function serversWords(p: Problem): string {
  return TOLD_BY_THE_SERVER.has(p.code) ? p.detail : "";
}

export function phase(item: Item): string {
  return t(`phase.${item.phase}` as TextKey, { sent: size(item.sent), size: size(item.size), percent: Math.round(item.progress) });
}

/** The name of a control of one row: begins with what is seen on it, as who speaks to the page says that. */
export function of(action: string, name: string): string {
  return `${action}: ${name}`;
}

export function category(name: string): string {
  return tOr(`category.${name}`, name);
}
