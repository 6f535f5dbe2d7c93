// Browser tests: a real Chromium in front of the real panel, with the simulator in place of Proxmox.
//
// `harness/setup.mjs` starts both on free ports with what stands in `seed/`. The tests share that one panel, so they
// run one after another; each uses a VM of its own, and what changes the whole cluster puts it back.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { defineConfig, devices } from "@playwright/test";

const chromium = [process.env.PORTICO_CHROMIUM, "/usr/bin/chromium", "/usr/bin/google-chrome"].find(
  (path) => path && existsSync(path),
);
if (!chromium) throw new Error("no Chromium found: name one in PORTICO_CHROMIUM");

const out = resolve(import.meta.dirname, "../../target/browser");

export default defineConfig({
  testDir: "specs",
  outputDir: resolve(out, "results"),
  globalSetup: "./harness/setup.mjs",
  workers: 1,
  fullyParallel: false,
  forbidOnly: Boolean(process.env.CI),
  retries: 0,
  timeout: 90_000,
  expect: { timeout: 15_000 },
  reporter: [["list"]],
  metadata: { out },
  use: {
    ...devices["Desktop Chrome"],
    viewport: { width: 1280, height: 900 },
    reducedMotion: "reduce",
    screenshot: "only-on-failure",
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: chromium,
      // Root has no user namespaces to sandbox with; the only pages opened are the panel's.
      args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
    },
  },
});
