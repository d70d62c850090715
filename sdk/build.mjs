// Builds `dist/`: the classic scripts that the service serves, the modules of the npm package, their types, and the
// unit tests. Checks the sizes.
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

/** Bytes of a script, compressed, at most. */
const BUDGETS = { "oneself.js": 6000 };

rmSync("dist", { recursive: true, force: true });
const shared = { bundle: true, target: "es2020", sourcemap: true, sourcesContent: true, logLevel: "warning" };
await Promise.all([
  build({ ...shared, entryPoints: { oneself: "oneself/script.ts" }, format: "iife", minify: true, outdir: "dist" }),
  build({ ...shared, entryPoints: { oneself: "oneself/index.ts" }, format: "esm", outdir: "dist", outExtension: { ".js": ".mjs" } }),
  build({ ...shared, entryPoints: { oneself: "oneself/index.ts" }, format: "cjs", outdir: "dist", outExtension: { ".js": ".cjs" } }),
  build({
    ...shared, entryPoints: readdirSync("tests").map((name) => `tests/${name}`), format: "esm", platform: "node",
    outdir: "dist/tests", outExtension: { ".js": ".mjs" },
  }),
]);
execFileSync("node_modules/.bin/tsc", ["--emitDeclarationOnly", "--outDir", "dist/types"], { stdio: "inherit" });

for (const [name, budget] of Object.entries(BUDGETS)) {
  const bytes = gzipSync(readFileSync(`dist/${name}`), { level: 9 }).length;
  console.log(`${name}: ${bytes} of ${budget} bytes compressed`);
  if (bytes > budget) {
    console.error(`${name} is too large. What is in it: npx esbuild --analyze.`);
    process.exitCode = 1;
  }
}
