/**
 * Processes that answer questions over IPC. Each contestant has its client and its server in separate processes; the
 * parent only coordinates, so that it costs nothing while a slice runs.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** CPU time that this process has used, in milliseconds. */
const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** Bytes in use, after a garbage collection if one can be forced. */
const memory = () => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return { inUse: heapUsed + external };
};

/**
 * In the child: answers each question with what its handler returns. `cpu` and `memory` are always answered.
 *
 * @param {Record<string, (argument: any) => unknown>} handlers @param {() => unknown} [close] runs when the parent is done
 */
export function answer(handlers, close = () => undefined) {
  const all = { cpu: cpuMs, memory, ...handlers };
  process.on('message', async ({ id, question, argument }) => {
    try {
      process.send({ id, value: await all[question](argument) });
    } catch (error) {
      process.send({ id, error: error.stack });
    }
  });
  process.on('disconnect', async () => {
    await close();
    process.exit();
  });
}

/**
 * In the child: runs a measured piece of work and returns its cost.
 *
 * @param {() => number | Promise<number>} work returns what it has counted
 */
export async function measured(work) {
  const cpuBefore = cpuMs();
  const start = performance.now();
  const count = await work();
  const ms = performance.now() - start;
  return { count, ms, cpuMs: cpuMs() - cpuBefore };
}

/** How long a process may take to end. */
const PATIENCE_MS = 5000;

/** In the parent: a child that can be asked. */
export class Child {
  #process;
  #last = 0;
  #open = new Map();
  /** Resolves with the code or the signal by which it ended. @type {Promise<number | string>} */
  ended;

  /**
   * @param {string | URL} name a file of bench/processes, or the URL of another file
   * @param {string[]} [args] @param {string[]} [execArgv]
   */
  constructor(name, args = [], execArgv = []) {
    const file = fileURLToPath(new URL(name, new URL('../processes/', import.meta.url)));
    this.#process = fork(file, args, { execArgv });
    this.#process.on('message', ({ id, value, error }) => {
      const { resolve, reject } = this.#open.get(id);
      this.#open.delete(id);
      if (error === undefined) resolve(value);
      else reject(new Error(`${name}: ${error}`));
    });
    this.ended = new Promise((resolve) => this.#process.on('exit', (code, signal) => resolve(signal ?? code)));
    this.#process.on('exit', (code) => {
      for (const { reject } of this.#open.values()) reject(new Error(`${name} has exited with code ${code}`));
      this.#open.clear();
    });
  }

  /** @returns {Promise<any>} */
  ask(question, argument) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject });
      this.#process.send({ id, question, argument }, (error) => error && reject(error));
    });
  }

  /** @param {NodeJS.Signals} signal */
  kill(signal) {
    this.#process.kill(signal);
  }

  /** Resolves when the process is gone. It is killed if it does not end in time. */
  async stop() {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#process.once('exit', resolve));
    if (this.#process.connected) this.#process.disconnect();
    const impatient = setTimeout(() => this.#process.kill('SIGKILL'), PATIENCE_MS);
    await gone;
    clearTimeout(impatient);
  }
}
