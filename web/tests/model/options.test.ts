// @vitest-environment node
import { describe, expect, it } from "vitest";
import { createCatalogue } from "../../src/model/catalogue";
import { carriedOver, firstInvalid, isValid, toSend, withoutSecrets } from "../../src/model/options";
import type { OptionSpec, OptionValue } from "../../src/model/types";
import { asTheServerSays, FORMATS } from "./formats";

const dpi: OptionSpec = { name: "dpi", type: "integer", label: "", min: 18, max: 600, default: 150 };
const rotate: OptionSpec = { name: "rotate", type: "choice", label: "", choices: ["0", "90"], default: "0" };
const ocr: OptionSpec = { name: "ocr", type: "set", label: "", choices: ["deu", "eng"], default: null };
const linearize: OptionSpec = { name: "linearize", type: "boolean", label: "", default: false };
const password: OptionSpec = { name: "password", type: "string", label: "", max_length: 4, secret: true };

describe("a value", () => {
  it.each<[OptionSpec, OptionValue, boolean]>([
    [dpi, 18, true],
    [dpi, 17, false],
    [dpi, 601, false],
    [dpi, 18.5, false],
    [dpi, Number.NaN, false],
    [dpi, "150", false],
    [rotate, "90", true],
    [rotate, "45", false],
    [ocr, "eng", true],
    [ocr, "eng+deu", true],
    [ocr, "eng+xxx", false],
    [ocr, "eng+", false],
    [linearize, true, true],
    [linearize, "true", false],
    [password, "äö", true],
    [password, "äöüß", true],
    [password, "😀😀😀😀", true],
    [password, "äöüß.", false],
    [password, "a\nb", false],
  ])("%o may be %s: %s", (spec, value, valid) => expect(isValid(spec, value)).toBe(valid));

  it("of a type that this page doesn't know is the server's matter", () => expect(isValid({ ...dpi, type: "new" as "integer" }, "x")).toBe(true));
});

describe("what is sent", () => {
  it("differs from the default, and is of this pair", () =>
    expect(toSend([dpi, rotate, ocr, linearize], { dpi: 150, rotate: "90", ocr: "", linearize: true, quality: 3 })).toEqual({ rotate: "90", linearize: true }));

  it("names the first that is wrong", () => {
    expect(firstInvalid([dpi, rotate], { dpi: 300, rotate: "45" })?.name).toBe("rotate");
    expect(firstInvalid([dpi, rotate], { dpi: 300 })).toBeUndefined();
  });

  it("goes over to another target where that has it, and can take it", () =>
    expect(carriedOver([dpi, rotate], { dpi: 700, rotate: "90", ocr: "eng" })).toEqual({ rotate: "90" }));
});

describe("what is kept", () => {
  const catalogue = createCatalogue(FORMATS, asTheServerSays);
  it("has no passwords", () => expect(withoutSecrets(catalogue, { password: "x", dpi: 300 })).toEqual({ dpi: 300 }));
  it("has nothing that nobody knows", () => expect(withoutSecrets(catalogue, { secret: "x" })).toEqual({}));
  it("is nothing while there is no catalogue to ask", () => expect(withoutSecrets(null, { dpi: 300 })).toEqual({}));
});
