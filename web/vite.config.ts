import { createReadStream, createWriteStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { constants, createBrotliCompress, createGzip } from "node:zlib";
import { defineConfig, type Plugin } from "vitest/config";
import { dataUrls } from "./plugins/data-urls";
import { licenses } from "./plugins/licenses";

const COMPRESSED = /\.(html|js|css|svg|json|txt|webmanifest)$/;

// Beside each file one that is packed once and well, for servers that send it as it is (decant-api; nginx: gzip_static).
function precompressed(): Plugin {
  let folder = "";
  return {
    name: "precompressed",
    apply: "build",
    configResolved(config) {
      folder = config.build.outDir;
    },
    async closeBundle() {
      for (const name of await readdir(folder, { recursive: true })) {
        if (!COMPRESSED.test(name)) continue;
        const path = join(folder, name);
        await pipeline(createReadStream(path), createGzip({ level: 9 }), createWriteStream(`${path}.gz`));
        await pipeline(createReadStream(path), createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }), createWriteStream(`${path}.br`));
      }
    },
  };
}

const SERVER = process.env["DECANT_URL"] ?? "http://127.0.0.1:8080";
const ENDPOINTS = [
  "/session",
  "/upload",
  "/files",
  "/convert",
  "/job_status",
  "/events",
  "/download_token",
  "/download",
  "/formats",
  "/cancel",
  "/retry",
  "/duplicate",
  "/preview",
  "/openapi.json",
  "/delete",
  "/history",
  "/auth",
];

export default defineConfig({
  plugins: [dataUrls(), licenses(), precompressed()],
  build: {
    target: "es2022",
    // Data URLs and inlined scripts are what the Content-Security-Policy forbids.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // "/" and "/docs" share nothing, so that who converts files loads no documentation.
    rollupOptions: { input: { index: "index.html", docs: "docs/index.html" } },
    chunkSizeWarningLimit: 2000,
    outDir: process.env["DECANT_WEB_OUT"] ?? "dist",
    emptyOutDir: true,
  },
  // `npm run dev` in front of a `decant serve`: pages from here, calls to there.
  server: { proxy: Object.fromEntries(ENDPOINTS.map((path) => [path, { target: SERVER }])) },
  // Patient: other checks may have the processors.
  test: { environment: "jsdom", include: ["tests/**/*.test.ts"], testTimeout: 60_000 },
});
