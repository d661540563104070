import { describe, expect, it } from "vitest";
import { failureOf } from "../../src/model/failure";
import { newItem } from "../../src/model/items";
import type { Phase } from "../../src/model/types";
import { t } from "../../src/text";
import { problem, replacedFonts, serversWords, standing } from "../../src/ui/words";

const refusal = (detail: string) => failureOf(422, JSON.stringify({ title: "Another type", detail, code: "type_mismatch" }), null).problem;

describe("a file that isn't what its extension says", () => {
  it("is told of once, in the page's words", () => {
    const said = refusal("Another type.");
    expect([problem(said, undefined), serversWords(said)]).toEqual([t("error.type_mismatch"), ""]);
  });

  it("has its reason in the page's words, where there is another one", () => {
    const said = refusal("The file is of two kinds at once: an archive is behind it.");
    expect([problem(said, undefined), serversWords(said)]).toEqual([t("reason.two_kinds"), ""]);
  });

  it("has the server's words beside the page's, where the page doesn't know them", () => {
    const said = refusal("It is haunted.");
    expect([problem(said, undefined), serversWords(said)]).toEqual([t("error.type_mismatch"), "It is haunted."]);
  });
});

describe("a conversion that was too much", () => {
  const failed = (detail: string) => ({ code: "too_complex", detail });

  it("says so once", () => {
    const said = failed("The conversion needed more memory or processing time than is allowed for one file.");
    expect([problem(said, undefined), serversWords(said)]).toEqual([t("error.too_complex"), ""]);
  });

  it("is another one where the scanner didn't come through, in the history, too", () => {
    const said = failed("A part of this file is encrypted, and so on.");
    expect([problem(said, undefined), serversWords(said)]).toEqual([t("reason.scan_encrypted"), ""]);
  });
});

it("says once what the server says with the same words", () => {
  const bad = { code: "bad_options", detail: "The options ask for something that this file does not have, such as a page behind its last one." };
  expect([problem(bad, undefined), serversWords(bad)]).toEqual([t("error.bad_options"), ""]);
});

it("leaves to the server for which of its reasons a file was too complex", () => {
  const other = { code: "too_complex", detail: "Something of which this page has not heard." };
  expect(problem(other, undefined)).not.toMatch(/conversion|memory|time/);
  expect(serversWords(other)).toBe(other.detail);
});

it("calls an option by its name in the catalogue, and not by its id", () => {
  const bad = { code: "bad_option", detail: "new_password", label: "Password that the result will ask for" };
  expect(problem(bad, undefined)).toBe("Password that the result will ask for can't be that.");
});

it("counts fonts that were replaced, and not what took their place", () => {
  const replaced = (font: string, used: string, metric_compatible = false) => ({ font, used, metric_compatible });
  expect(replacedFonts([replaced("Gothic", "Noto Sans"), replaced("Gothic", "Noto Sans CJK"), replaced("Arial", "Liberation Sans", true)])).toBe(
    "1 font was replaced: Gothic → Noto Sans, Gothic → Noto Sans CJK",
  );
  expect(replacedFonts([replaced("Arial", "Liberation Sans", true)])).toBe("");
});

describe("all rows together", () => {
  const items = (...phases: Phase[]) => phases.map((phase, n) => newItem(`${n}`, { name: "a", size: 1, format: null, phase }));

  it("tell what was refused from what has failed", () => {
    const idle = { running: 0, percent: 0 };
    expect(standing(items("completed", "refused", "refused"), idle)).toBe("1 file is ready. 2 files were not taken");
    expect(standing(items("failed", "refused"), idle)).toBe("2 files. 1 could not be converted. 1 file was not taken");
    expect(standing(items("processing"), { running: 1, percent: 60 })).toBe("1 file under way, 50 %");
  });
});
