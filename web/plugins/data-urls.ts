import { createHash } from "node:crypto";
import type { Plugin } from "vite";

const DATA_URL = /url\(\s*(?:"(data:(?:[^"\\]|\\[^])*)"|'(data:(?:[^'\\]|\\[^])*)'|(data:[^)\s]*))\s*\)/g;
const EXTENSIONS: Record<string, string> = { "image/svg+xml": "svg", "image/png": "png", "image/jpeg": "jpg" };

function parse(url: string): { type: string; data: Buffer } {
  const comma = url.indexOf(",");
  const [type = "", ...parameters] = url.slice("data:".length, comma).split(";");
  const payload = url.slice(comma + 1);
  return { type, data: parameters.includes("base64") ? Buffer.from(payload, "base64") : Buffer.from(decodeURIComponent(payload)) };
}

// Pictures in a package's style as files of their own: our Content-Security-Policy lets no data: URL be loaded.
export function dataUrls(): Plugin {
  return {
    name: "data-urls",
    apply: "build",
    generateBundle(_options, bundle) {
      const files = new Set<string>();
      for (const part of Object.values(bundle)) {
        if (part.type !== "asset" || !part.fileName.endsWith(".css")) continue;
        part.source = part.source.toString().replace(DATA_URL, (_all, double?: string, single?: string, bare?: string) => {
          const { type, data } = parse((double ?? single ?? bare ?? "").replace(/\\([^])/g, "$1"));
          const extension = EXTENSIONS[type];
          if (!extension) throw new Error(`${part.fileName} has a data: URL of a type that nobody has thought of: ${type}`);
          const fileName = `assets/${createHash("sha256").update(data).digest("hex").slice(0, 16)}.${extension}`;
          if (!files.has(fileName)) this.emitFile({ type: "asset", fileName, source: data });
          files.add(fileName);
          return `url("/${fileName}")`;
        });
      }
    },
  };
}
