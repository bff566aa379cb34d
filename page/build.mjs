// Builds the page into src/serve/page/, from where the server embeds it. `--check` writes nothing and fails where what
// lies there is not what this source builds: the bundle is committed, so that cargo needs no node.
import { readFile, writeFile, mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import path from "node:path";
import { build } from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const out = path.join(here, "../src/serve/page");

const { version } = JSON.parse(await readFile(path.join(here, "node_modules/marked/package.json"), "utf8"));

const built = await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.ts", style: "src/style/style.css" },
  outdir: out,
  bundle: true,
  minify: true,
  write: false,
  format: "esm",
  target: ["es2022", "chrome111", "firefox113", "safari16.4"],
  charset: "utf8",
  // See NOTICE. marked's own comment is not one that esbuild takes for a legal one.
  banner: { js: `/*! With marked ${version}: Copyright (c) 2018+, MarkedJS; (c) 2011-2018, Christopher Jeffrey. MIT License */` },
  legalComments: "inline",
  logLevel: "warning",
});
const files = new Map(built.outputFiles.map((file) => [path.basename(file.path), Buffer.from(file.contents)]));
for (const name of ["index.html", "icon.svg"]) {
  files.set(name, await readFile(path.join(here, "src", name)));
}

if (process.argv.includes("--check")) {
  const stale = [];
  for (const [name, contents] of files) {
    const committed = await readFile(path.join(out, name)).catch(() => Buffer.alloc(0));
    if (!committed.equals(contents)) stale.push(name);
  }
  if (stale.length > 0) {
    console.error(`error: src/serve/page is not what page/ builds: ${stale.join(", ")}; run \`make page\` and commit it`);
    process.exit(1);
  }
} else {
  await mkdir(out, { recursive: true });
  for (const [name, contents] of files) {
    await writeFile(path.join(out, name), contents);
    console.log(`${name} ${(contents.length / 1000).toFixed(1)} kB`);
  }
}
