// Builds everything the browser loads into dist/: one style sheet, one module bundle, fonts, the mark.
//
// File names carry a hash of their content, so the panel serves them as immutable; manifest.json maps the name
// that templates ask for ("app.css") to the hashed one. Each file that compresses well lies beside its .br and .gz.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import postcss from "postcss";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");
// Tabler needs light-dark() and relative colours.
const browsers = ["chrome123", "firefox128", "safari17.5"];

/** Logical name → hashed file name. */
const manifest = {};

function emit(logical, content) {
  const bytes = Buffer.from(content);
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 10);
  const extension = extname(logical);
  const file = `${logical.slice(0, -extension.length)}-${hash}${extension}`;
  write(file, bytes);
  manifest[logical] = file;
  return file;
}

/** Files of this build; whatever else lies in dist/ is left over from an earlier one. */
const written = new Set([".gitkeep"]);

/** Writes only what differs: the panel is compiled again when a file in dist/ is newer. */
function put(file, content) {
  written.add(file);
  const path = join(dist, file);
  const bytes = Buffer.from(content);
  if (existsSync(path) && readFileSync(path).equals(bytes)) return false;
  writeFileSync(path, bytes);
  return true;
}

function write(file, bytes) {
  const isNew = put(file, bytes);
  if (file.endsWith(".woff2")) return; // compressed already
  const packed = {
    br: () => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }),
    gz: () => gzipSync(bytes, { level: 9 }),
  };
  for (const [extension, pack] of Object.entries(packed)) {
    const name = `${file}.${extension}`;
    written.add(name);
    if (isNew || !existsSync(join(dist, name))) put(name, pack());
  }
}

/**
 * Icons as CSS masks: `<span class="icon pi pi-camera">`. A plugin's page needs neither SVG markup nor the address
 * of a sprite to show one, and the icon takes the colour of the text around it.
 */
function iconCss() {
  const names = JSON.parse(readFileSync(join(here, "icons.json"), "utf8"));
  const rules = names.map((name) => {
    const source = readFileSync(join(here, "node_modules/@tabler/icons/icons/outline", `${name}.svg`), "utf8");
    const paths = [...source.matchAll(/<path d="([^"]+)"[^>]*\/>/g)].map(([, d]) => `<path d='${d}'/>`).join("");
    if (!paths) throw new Error(`icon ${name}: no path found`);
    const svg =
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='#000' stroke-width='1.75' " +
      `stroke-linecap='round' stroke-linejoin='round'>${paths}</svg>`;
    const url = `data:image/svg+xml,${svg.replaceAll("#", "%23").replaceAll("<", "%3c").replaceAll(">", "%3e")}`;
    return `.pi-${name}{background-color:currentColor;--pi:url("${url}")}`;
  });
  return rules.join("\n");
}

/**
 * Repeats every rule for the dark theme under `prefers-color-scheme: dark` for `[data-bs-theme=auto]`: a visitor who
 * has not chosen a theme gets the one of his system with the first paint, without a script.
 */
const followSystemTheme = {
  postcssPlugin: "follow-system-theme",
  Rule(rule) {
    if (rule.themed) return;
    rule.themed = true;
    const dark = rule.selectors.filter((s) => /^(:root)?\[data-bs-theme="?dark"?\]/.test(s));
    if (dark.length === 0) return;
    const copy = rule.clone({ selectors: dark.map((s) => s.replace(/\[data-bs-theme="?dark"?\]/, "[data-bs-theme=auto]")) });
    copy.themed = true;
    const media = postcss.atRule({ name: "media", params: "(prefers-color-scheme: dark)", nodes: [copy] });
    rule.after(media);
  },
};

async function css() {
  const icons = { name: "icons", setup(build) {
    build.onResolve({ filter: /^portico:icons$/ }, () => ({ path: "icons", namespace: "portico" }));
    build.onLoad({ filter: /.*/, namespace: "portico" }, () => ({ contents: iconCss(), loader: "css" }));
  } };
  const result = await esbuild.build({
    entryPoints: [join(here, "src/app.css")],
    bundle: true, minify: true, write: false, outdir: dist, target: browsers, plugins: [icons],
    loader: { ".woff2": "file" }, assetNames: "[name]-[hash]", legalComments: "eof", logLevel: "warning",
  });
  for (const file of result.outputFiles) {
    if (file.path.endsWith(".css")) {
      const themed = await postcss([followSystemTheme]).process(file.text, { from: undefined });
      emit("app.css", themed.css);
    } else {
      write(file.path.slice(dist.length + 1), Buffer.from(file.contents));
    }
  }
}

async function js() {
  const result = await esbuild.build({
    entryPoints: [join(here, "src/app.js")],
    bundle: true, minify: true, write: false, outdir: dist, target: browsers, format: "esm", splitting: true,
    entryNames: "[name]-[hash]", chunkNames: "[name]-[hash]", legalComments: "eof", logLevel: "warning", metafile: true,
  });
  for (const file of result.outputFiles) {
    write(file.path.slice(dist.length + 1), Buffer.from(file.contents));
  }
  for (const [path, output] of Object.entries(result.metafile.outputs)) {
    if (output.entryPoint) manifest["app.js"] = path.slice(path.lastIndexOf("/") + 1);
  }
}

mkdirSync(dist, { recursive: true });
await Promise.all([css(), js()]);
emit("mark.svg", readFileSync(join(here, "src/mark.svg")));
put("manifest.json", `${JSON.stringify(manifest, Object.keys(manifest).sort(), 2)}\n`);
for (const name of readdirSync(dist)) {
  if (!written.has(name)) rmSync(join(dist, name), { recursive: true });
}
