// @vitest-environment node
import { describe, expect, it } from "vitest";
import { createCatalogue } from "../../src/model/catalogue";
import { asTheServerSays, FORMATS } from "./formats";

const catalogue = createCatalogue(FORMATS, asTheServerSays);
const ids = (query: string) => catalogue.targets(["docx"], query).map((group) => [group.category, group.targets.map((target) => target.id).join(" ")]);

describe("the format of a name", () => {
  it.each([
    ["Report.DOCX", "docx"],
    ["a.tar.gz", "tgz"],
    ["a.gz", "gz"],
    ["tar.gz", "gz"],
    ["v1.2.tar.gz", "tgz"],
    ["picture.jpeg", "jpg"],
    ["no extension", null],
    [".pdf", null],
    ["a.exe", null],
    ["a.constructor", null],
    ["ends.", null],
  ])("%s is %s", (name, format) => expect(catalogue.formatOf(name)).toBe(format));

  it("isn't one that is a result only", () => expect(catalogue.formatOf("book.epub")).toBeNull());
});

describe("targets", () => {
  it("has the likeliest first, the others by category, and each once", () =>
    expect(ids("")).toEqual([
      ["likely", "pdf odt txt html rtf epub"],
      ["image", "png jpg tiff"],
    ]));

  it("has what most of many files can become first, then what is likeliest", () =>
    expect(catalogue.targets(["jpg", "png", "docx", "docx", "odt"], "")[0]?.targets.map(({ id }) => id)).toEqual(["pdf", "png", "jpg", "odt", "txt", "html"]));

  it("finds ids, extensions and labels, and what fits best comes first", () => {
    expect(ids("tif")).toEqual([["image", "tiff"]]);
    expect(ids("jpeg")).toEqual([["image", "jpg"]]);
    expect(ids("word")).toEqual([]);
    expect(ids("Document")).toEqual([
      ["pdf", "pdf"],
      ["document", "odt"],
    ]);
    expect(ids("text")).toEqual([
      ["document", "odt rtf"],
      ["text", "txt"],
    ]);
    expect(ids("p")).toEqual([
      ["pdf", "pdf"],
      ["image", "png jpg"],
      ["text", "txt html"],
      ["document", "odt epub"],
    ]);
  });

  it("needs all words, and knows an extension by its dot", () => {
    expect(ids("image tiff")).toEqual([["image", "tiff"]]);
    expect(ids(".PNG")).toEqual([["image", "png"]]);
    expect(ids("image document")).toEqual([]);
  });

  it("are called what they are in the reader's language, and found by both names", () => {
    const german = createCatalogue(FORMATS, (id, label) => (id === "txt" ? "Reiner Text" : id === "png" ? "PNG-Bild" : label));
    const found = (query: string) => german.targets(["docx"], query).flatMap(({ targets }) => targets.map(({ label }) => label));
    expect(german.label("txt")).toBe("Reiner Text");
    for (const query of ["reiner", "plain", "REIN text"]) expect(found(query)).toEqual(["Reiner Text"]);
    expect(found("bild")).toEqual(["PNG-Bild"]);
    expect(found("image")).toEqual(["PNG-Bild", "JPEG image", "TIFF image"]);
  });

  it("has none for what nobody knows", () => expect(catalogue.targets(["exe"], "")).toEqual([]));
});

describe("options", () => {
  it("has each name once, in the server's order", () =>
    expect(catalogue.options("docx", "pdf").map((spec) => spec.name)).toEqual(["password", "pages", "new_password"]));
  it("takes the first of a name", () => expect(catalogue.options("docx", "pdf")[0]?.label).toBe("Password"));
  it("has none for a pair without any", () => expect(catalogue.options("docx", "odt")).toEqual([]));
});
