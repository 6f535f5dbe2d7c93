// Starts the simulator and the panel before the first test, and ends them after the last.
import { execFile, spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

import { PASSWORD, TOKEN } from "./seed.mjs";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../../..");
const seed = resolve(import.meta.dirname, "../seed");
const target = process.env.CARGO_TARGET_DIR ? resolve(root, process.env.CARGO_TARGET_DIR) : join(root, "target");
const bin = process.env.PORTICO_BIN_DIR ?? join(target, "debug");
const plugins = process.env.PORTICO_PLUGINS_DIR ?? join(target, "plugins");
// Tasks of the cluster take a quarter of their time: quick, and still long enough to be seen under way.
const TIME_SCALE = "4";

export default async function setup(config) {
  const { out } = config.metadata;
  const data = await mkdtemp(join(tmpdir(), "portico-browser-"));
  const children = [];
  const teardown = async () => {
    for (const child of children.reverse()) await end(child);
    await rm(data, { recursive: true, force: true });
  };
  try {
    const simulator = start(join(bin, "pve-sim"), [
      "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--time-scale", TIME_SCALE,
    ], ["ignore", "pipe", "inherit"]);
    children.push(simulator);
    const [, endpoint, , control, , fingerprint] = (await firstLine(simulator)).split(" ");

    const port = await freePort();
    const words = { ENDPOINT: endpoint, FINGERPRINT: fingerprint, PLUGINS: plugins, PORT: String(port) };
    await mkdir(join(data, "secrets"));
    await secret(join(data, "secrets/pve-token"), TOKEN);
    await secret(join(data, "secrets/customer-password"), PASSWORD);
    for (const name of ["portico.toml", "provider.toml"]) {
      const text = await readFile(join(seed, name), "utf8");
      await writeFile(join(data, name), text.replaceAll(/@([A-Z]+)@/g, (whole, word) => words[word] ?? whole));
    }
    const file = join(data, "portico.toml");
    await run(join(bin, "portico"), ["--config", file, "apply", join(data, "provider.toml"), "--yes"]);

    // Some tests take the cluster away, and the panel says so: its log is beside the pictures, not among the results.
    await mkdir(out, { recursive: true });
    const log = await open(join(out, "panel.log"), "w");
    const panel = start(join(bin, "portico"), ["--config", file, "serve"], ["ignore", "ignore", log.fd]);
    await log.close();
    children.push(panel);
    const url = `http://127.0.0.1:${port}`;
    await ready(url, panel);
    process.env.PORTICO_URL = url;
    process.env.PORTICO_SIM_URL = endpoint;
    process.env.PORTICO_SIM_CONTROL = control;
    process.env.PORTICO_SESSIONS = join(data, "sessions");
    return teardown;
  } catch (error) {
    await teardown();
    throw error;
  }
}

function start(program, args, stdio) {
  const child = spawn(program, args, { stdio });
  child.on("error", (error) => console.error(`${program} cannot be run: ${error.message}`));
  return child;
}

async function firstLine(child) {
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) {
    child.stdout.resume();
    return line;
  }
  throw new Error("pve-sim ended without saying that it is ready");
}

async function ready(url, panel) {
  const deadline = Date.now() + 60_000;
  let last = "no answer";
  while (Date.now() < deadline) {
    if (panel.exitCode !== null) throw new Error(`the panel ended with code ${panel.exitCode}`);
    try {
      const answer = await fetch(`${url}/readyz`);
      if (answer.ok) return;
      last = await answer.text();
    } catch {
      // Not listening yet.
    }
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`the panel is not ready: ${last}`);
}

function freePort() {
  return new Promise((done, failed) => {
    const server = createServer();
    server.on("error", failed);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

async function secret(path, value) {
  await writeFile(path, `${value}\n`);
  await chmod(path, 0o600);
}

function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((done) => {
    const kill = setTimeout(() => child.kill("SIGKILL"), 10_000);
    child.on("exit", () => {
      clearTimeout(kill);
      done();
    });
    child.kill("SIGTERM");
  });
}
