import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Plugin } from "vite";

const PACKAGE = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//;
const LICENSE = /^licen[cs]e(\.(md|txt))?$/i;

// What the licence of a package asks to be handed on with it.
async function license(folder: string): Promise<string> {
  const about = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const file = (await readdir(folder)).find((name) => LICENSE.test(name));
  if (!file) throw new Error(`${about.name} has no file with its licence`);
  const text = await readFile(join(folder, file), "utf8");
  return `${about.name} ${about.version} (${about.license})\n\n${text.trim()}\n`;
}

// licenses.txt: the packages of which there is something in the page, as the bundler saw it, with their licences.
export function licenses(): Plugin {
  return {
    name: "licenses",
    apply: "build",
    async generateBundle(_options, bundle) {
      const modules = Object.values(bundle).flatMap((part) => (part.type === "chunk" ? Object.keys(part.modules) : []));
      const folders = new Set(modules.flatMap((module) => PACKAGE.exec(module)?.[1] ?? []));
      const texts = await Promise.all([...folders].sort().map(license));
      this.emitFile({ type: "asset", fileName: "licenses.txt", source: texts.join(`\n${"-".repeat(80)}\n\n`) });
    },
  };
}
