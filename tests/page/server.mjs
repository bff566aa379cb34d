// The real server, in a data folder of its own that has the models of the tests.
import { spawn, execFile } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const repository = path.join(path.dirname(fileURLToPath(import.meta.url)), "../..");
const binary = process.env.UNFORGET_BINARY ?? path.join(repository, "target/release/unforget");
const models = process.env.UNFORGET_TEST_HOME ?? path.join(repository, "target/test-home");

/** Longest that a server may take to be ready: it loads a model of 100 MB, perhaps beside other work. */
const START_MS = 60_000;

export class Server {
  #process = null;

  /** @param {string} folder of the data, @param {number} port */
  constructor(folder, port) {
    this.folder = folder;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** An empty data folder but for the registry of the fetched models, which stay where they are. */
  static async prepare() {
    const folder = await mkdtemp(path.join(tmpdir(), "unforget-page-"));
    await mkdir(path.join(folder, "home"));
    await copyFile(path.join(models, "registry.db"), path.join(folder, "home/registry.db"));
    return new Server(folder, await freePort());
  }

  /** Runs a command of the binary, whatever its exit code. */
  async command(...args) {
    const run = promisify(execFile)(binary, args, { env: this.#environment() });
    return run.catch((error) => error);
  }

  /** Starts, and waits until it is ready. */
  async start(...args) {
    const child = spawn(binary, ["serve", "--json", "-m", "smollm2", "--port", String(this.port), ...args], {
      env: this.#environment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    this.log = "";
    child.stderr.on("data", (data) => (this.log += data));
    const lines = readline.createInterface({ input: child.stdout });
    const [ready] = await Promise.race([
      once(lines, "line", { signal: AbortSignal.timeout(START_MS) }),
      once(child, "exit").then(() => Promise.reject(new Error(`the server ended: ${this.log}`))),
    ]);
    return JSON.parse(ready);
  }

  /** As if the power failed. */
  async kill() {
    const child = this.#process;
    this.#process = null;
    if (child === null || child.exitCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  async remove() {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** A figure of `/metrics`. */
  async metric(name) {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const line = text.split("\n").find((line) => line.startsWith(`${name} `));
    return Number(line?.split(" ")[1]);
  }

  #environment() {
    const { UNFORGET_MODEL: _, UNFORGET_API_KEY: __, ...rest } = process.env;
    return { ...rest, UNFORGET_HOME: path.join(this.folder, "home") };
  }
}

/** A port that is free, so that a server can come back at the same one. */
async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}
