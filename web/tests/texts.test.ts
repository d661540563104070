// @vitest-environment node
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { de } from "../src/text/de";
import { en } from "../src/text/en";

const source = (path: string) => readFileSync(new URL(`../../src/${path}`, import.meta.url), "utf8");

/** As the tables of the server have them, so that a new code can't be forgotten here. */
const codes = [...source("api/error.c").matchAll(/= \{\d{3}, "(\w+)"/g), ...source("core/outcome.c").matchAll(/\{"(\w+)",/g)]
  .map((match) => match[1])
  .filter((code) => code !== "ok");

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

  it("tell the same values in both languages", () => {
    for (const key of Object.keys(en) as (keyof typeof en)[]) expect([key, values(de[key])]).toEqual([key, values(en[key])]);
  });
});
