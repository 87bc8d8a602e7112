// Instances of an application as processes, for this sample and others.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

export const HOST = '127.0.0.1';

/** The preferred port if it is free, else one that is, below those that systems give to outgoing connections. */
export async function freePort(preferred = 0) {
  for (;;) {
    const port = preferred || 10_000 + Math.floor(Math.random() * 20_000);
    const server = createServer();
    const isFree = await new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, HOST, () => resolve(true));
    });
    if (isFree) return new Promise((resolve) => server.close(() => resolve(port)));
    preferred = 0;
  }
}

export class Processes {
  #running = [];
  #main;
  #onLine;

  /** @param {string} main what Node runs @param {(line: string, instance: number) => void} onLine gets what they log */
  constructor(main, onLine) {
    this.#main = main;
    this.#onLine = onLine;
  }

  get urls() {
    return this.#running.map(({ url }) => url);
  }

  /** Resolves when one of them ends. */
  get ended() {
    return Promise.race(this.#running.map(({ exited }) => exited));
  }

  /** One more. Resolves when it takes requests. @param {number} port @param {Record<string, string>} env */
  async start(port, env) {
    const instance = this.#running.length + 1;
    const child = spawn(process.execPath, [this.#main], {
      env: { ...process.env, ...env, PORT: String(port), INSTANCE: String(instance), NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = new Promise((resolve) => child.once('exit', resolve));
    this.#running.push({ child, exited, url: `http://${HOST}:${port}` });
    await new Promise((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => {
          this.#onLine(line, instance);
          if (line.includes('Nest application successfully started')) resolve();
        });
      }
      void exited.then((code) => reject(new Error(`instance ${instance} ended with code ${code}`)));
    });
  }

  async stop() {
    for (const { child } of this.#running) child.kill('SIGTERM');
    await Promise.all(this.#running.map(({ exited }) => exited));
  }
}
