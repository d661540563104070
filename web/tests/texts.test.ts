// @vitest-environment node
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { german } from "../src/text/de";
import { en } from "../src/text/en";
import { REASONS } from "../src/ui/words";

const de = german.words;

const source = (path: string) => readFileSync(new URL(`../../src/${path}`, import.meta.url), "utf8");

/** As the tables of the server have them, so that a new code can't be forgotten here. */
const codes = [...source("api/error.c").matchAll(/= \{\d{3}, "(\w+)"/g), ...source("core/outcome.c").matchAll(/\{"(\w+)",/g)]
  .map((match) => match[1])
  .filter((code) => code !== "ok");

/** A sentence of C, which may be in several pieces. */
const joined = (pieces: string | undefined) => (pieces ?? "").replace(/"\s*"/g, "").replace(/^"|"$/g, "");
const PIECES = String.raw`("[^"]*"(?:\s*"[^"]*")*)`;

const outcomes = [...source("core/outcome.c").matchAll(new RegExp(String.raw`\{"(\w+)",\s*${PIECES}\}`, "g"))].map(([, code, pieces]) => [
  code,
  joined(pieces),
]);
const several = outcomes.filter(([code], _, all) => all.filter(([other]) => other === code).length > 1).map(([, sentence]) => sentence);

/** But for that which is the title of its code: the page drops it (failure.ts). */
const refusals = [...source("files/sniff.c").matchAll(new RegExp(String.raw`return ${PIECES};`, "g"))]
  .map(([, pieces]) => joined(pieces))
  .filter((sentence) => !source("api/error.c").includes(`"${sentence.replace(/\.$/, "")}"`));

const values = (text: string | { one: string; other: string }) =>
  (typeof text === "string" ? [text] : [text.one, text.other]).map((form) => (form.match(/\{\w+\}/g) ?? []).sort().join(" "));

describe("texts", () => {
  it("say something for each error of the server", () => {
    expect(codes.length).toBeGreaterThan(30);
    for (const code of codes) {
      expect(en, `${code} in English`).toHaveProperty([`error.${code}`]);
      expect(de, `${code} in German`).toHaveProperty([`error.${code}`]);
    }
  });

  it("have each reason that the server tells by its sentence alone, once", () => {
    expect([several.length, refusals.length]).toEqual([3, 2]);
    for (const sentence of [...several, ...refusals])
      expect([sentence, REASONS.filter(([begin]) => sentence?.startsWith(begin)).length]).toEqual([sentence, 1]);
    expect(REASONS.length).toBe(several.length + refusals.length);
  });

  it("tell the same values in both languages", () => {
    for (const key of Object.keys(en) as (keyof typeof en)[]) expect([key, values(de[key])]).toEqual([key, values(en[key])]);
  });
});
