import { pathToFileURL } from 'node:url';
import { Child } from './child.mjs';

/** What contestants run on: the measured build, and servers, each started once and shared by its contestants. */
export class Stage {
  #servers = new Map();
  #children = [];

  /**
   * @param {string} build folder of the built package @param {string[]} nodeFlags for the processes that are measured
   */
  constructor(build, nodeFlags = []) {
    this.build = build;
    this.nodeFlags = nodeFlags;
  }

  /** A module of the build, as a URL. @param {string} path */
  moduleUrl(path) {
    return pathToFileURL(`${this.build}/${path}`).href;
  }

  /** @param {string} file of bench/processes */
  async client(file, args = [], execArgv = []) {
    const child = new Child(file, args, execArgv);
    this.#children.push(child);
    return child;
  }

  /**
   * One of our servers, in a process of its own.
   *
   * @param {'echo-server.mjs' | 'daemon.mjs' | 'redis.mjs' | 'postgres.mjs'} file @param {string} name contestants share a
   *   server by its name
   * @param {string | string[] | object} [argument] for the process; the daemon gets its module and these options
   */
  server(file, name, argument) {
    const key = `${file} ${name}`;
    if (!this.#servers.has(key)) this.#servers.set(key, this.#start(file, argument));
    return this.#servers.get(key);
  }

  async #start(file, argument) {
    const child = await this.client(file, this.#argumentsOf(file, argument), this.nodeFlags);
    const address = await child.ask('listen');
    return { ...address, cpu: () => child.ask('cpu'), ask: (question) => child.ask(question) };
  }

  #argumentsOf(file, argument) {
    if (file === 'daemon.mjs') return [this.moduleUrl('entries/daemon.js'), JSON.stringify(argument ?? {})];
    return argument === undefined ? [] : [argument].flat();
  }

  async clear() {
    await Promise.all(this.#children.map((child) => child.stop()));
  }
}

/**
 * Runs one slice of a client against a server.
 *
 * @param {Child} client @param {{ cpu?: () => Promise<number> } | undefined} server without `cpu`: not ours
 */
export async function slice(client, server, ms) {
  const before = await server?.cpu?.();
  const { cpuMs, ...rest } = await client.ask('slice', ms);
  const after = await server?.cpu?.();
  return { ...rest, clientCpuMs: cpuMs, serverCpuMs: after === undefined ? undefined : after - before };
}
