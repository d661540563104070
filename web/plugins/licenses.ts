import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Plugin } from "vite";

// The bundler marks what it makes of CommonJS modules by a NUL.
const PACKAGE = /^\0?(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//;
const LICENSE = /^licen[cs]e(\.(md|txt))?$/i;
const NOTICE = /^notice(\.(md|txt))?$/i;

// What the licence of a package asks to be handed on with it: its text, its notice, and, where a module is made of other packages, theirs (webpack lays them beside it).
async function license(folder: string, modules: string[]): Promise<string> {
  const about = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const there = await readdir(folder);
  const file = there.find((name) => LICENSE.test(name));
  if (!file) throw new Error(`${about.name} has no file with its licence`);
  const within = modules.map((module) => `${basename(module)}.LICENSE.txt`).filter((name) => there.includes(name));
  const files = [file, ...there.filter((name) => NOTICE.test(name)), ...within];
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), "utf8")));
  return `${about.name} ${about.version} (${about.license})\n\n${texts.map((text) => text.trim()).join("\n\n")}\n`;
}

// licenses.txt: the packages of which there is something in the page, as the bundler saw it, with their licences.
export function licenses(): Plugin {
  return {
    name: "licenses",
    apply: "build",
    async generateBundle(_options, bundle) {
      const named = Object.values(bundle).flatMap((part) => (part.type === "chunk" ? Object.keys(part.modules) : []));
      // The bundler wraps modules in ones of its own, which have the same name but for a mark in front and behind.
      const modules = [...new Set(named.map((name) => name.replace(/^\0/, "").replace(/\?.*$/, "")))];
      const folders = new Set(modules.flatMap((module) => PACKAGE.exec(module)?.[1] ?? []));
      const texts = await Promise.all(
        [...folders].sort().map((folder) =>
          license(
            folder,
            modules.filter((module) => module.startsWith(`${folder}/`)),
          ),
        ),
      );
      this.emitFile({ type: "asset", fileName: "licenses.txt", source: texts.join(`\n${"-".repeat(80)}\n\n`) });
    },
  };
}
