import { minify, transformFile } from '@swc/core';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
// @ts-expect-error -- plain JavaScript, for lint
import * as rooms from '../../rooms.mjs';
import { until } from './until.js';

const { ROOMS, ROOMS_WITHOUT_NEST } = rooms as { ROOMS: Record<string, unknown>; ROOMS_WITHOUT_NEST: string[] };

/** How a program ended, and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
}

/** What a process has cost. */
export interface Usage {
  readonly cpuMs: number;
  readonly heapBytes: number;
}

/** Part of a program: answers every line with its Usage. */
const TELL_USAGE = `
  const usage = () => {
    gc();
    const { user, system } = process.cpuUsage();
    return { cpuMs: (user + system) / 1000, heapBytes: process.memoryUsage().heapUsed };
  };
  process.stdin.on('data', () => console.log(JSON.stringify(usage())));
`;

/** A running program that is spoken to line by line. */
export class Conversation {
  private readonly lines: string[] = [];
  private said = '';
  private ended = false;

  constructor(private readonly child: ChildProcess) {
    let rest = '';
    child.stdout!.on('data', (chunk: Buffer) => {
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop()!;
      this.lines.push(...parts);
    });
    child.stderr!.on('data', (chunk: Buffer) => (this.said += chunk.toString()));
    child.on('close', () => (this.ended = true));
  }

  /** Says something that is not answered at once. */
  say(what: string): void {
    this.child.stdin!.write(`${what}\n`);
  }

  /** Stops it, or lets it go on. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.child.kill(name);
  }

  /** Ends it without a warning. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await until(() => this.ended, 'the program to end');
  }

  /** The next line it says. */
  async line(withinMs = 20_000): Promise<string> {
    await until(() => this.lines.length > 0 || this.ended, 'the program to say something', withinMs);
    if (this.lines.length === 0) throw new Error(`the program has ended: ${this.said}`);
    return this.lines.shift()!;
  }

  /** Says something, and gives the answer. */
  async ask<T>(what: string, withinMs?: number): Promise<T> {
    this.child.stdin!.write(`${what}\n`);
    return JSON.parse(await this.line(withinMs)) as T;
  }
}

/** As bundlers leave it: what a module exports has a name for others only. */
async function nameless(code: string): Promise<string> {
  const exported: string[] = [];
  const inner = code.replace(/^export ((?:abstract |async )?(?:class|function) (\w+))/gm, (_, declaration, name) => {
    exported.push(name as string);
    return declaration as string;
  });
  const result = await minify(`${inner}\nexport { ${exported.join(', ')} };`, {
    module: true,
    mangle: { toplevel: true },
  });
  return result.code;
}

/** lib, or its framework-free half, as plain JavaScript: processes of their own can run it without a build. */
export class CompiledLib {
  private readonly children = new Set<ChildProcess>();

  private constructor(private readonly folder: string) {}

  /**
   * @param nest whether with the Nest half, as `entries/index.js`
   * @param minified whether classes and functions lose their names, as in a bundle
   */
  static async make({ nest = false, minified = false } = {}): Promise<CompiledLib> {
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-dflockd-'));
    await symlink(resolve('node_modules'), join(folder, 'node_modules'));
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    for (const room of nest ? Object.keys(ROOMS) : ROOMS_WITHOUT_NEST) {
      await mkdir(join(folder, room), { recursive: true });
      for (const file of (await readdir(join('lib', room))).filter((name) => name.endsWith('.ts'))) {
        const { code } = await transformFile(join('lib', room, file), {
          jsc: {
            parser: { syntax: 'typescript', decorators: true },
            transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
            target: 'es2022',
          },
          module: { type: 'es6' },
        });
        await writeFile(join(folder, room, file.replace(/ts$/, 'js')), minified ? await nameless(code) : code);
      }
    }
    return new CompiledLib(folder);
  }

  /** Ends what still runs, and removes everything. */
  async remove(): Promise<void> {
    for (const child of this.children) child.kill('SIGKILL');
    await rm(this.folder, { recursive: true });
  }

  /** The URL of a module, for programs that import more than the usual. */
  url(file: string): string {
    return pathToFileURL(join(this.folder, file)).href;
  }

  /**
   * Runs a program; resolves with what it printed once it has ended by itself: sooner than servers give up idle
   * connections, which might keep it alive until then.
   */
  run(program: string, withinMs = 15_000): Promise<Ended> {
    return new Promise((done, reject) => {
      const child = this.spawn(program);
      let out = '';
      child.stdout!.on('data', (chunk) => (out += chunk));
      child.stderr!.on('data', (chunk) => (out += chunk));
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        reject(new Error(`still running; said: ${out}`));
      }, withinMs);
      child.on('close', (code) => {
        clearTimeout(timer);
        done({ code, out });
      });
    });
  }

  /** Starts a program that answers lines with lines. */
  start(program: string): Conversation {
    return new Conversation(this.spawn(program));
  }

  /** A daemon in a process of its own; resolves with its port. */
  async daemon(options: object = {}): Promise<number> {
    return (await this.talkingDaemon(options)).port;
  }

  /** A daemon that says what it costs when it is asked (Usage). */
  async talkingDaemon(options: object = {}): Promise<{ port: number; conversation: Conversation }> {
    const conversation = this.start(`
      const server = new DflockdServer(${JSON.stringify({ port: 0, ...options })});
      console.log((await server.listen()).port);
      ${TELL_USAGE}
    `);
    return { port: Number(await conversation.line()), conversation };
  }

  private spawn(program: string): ChildProcess {
    const source = `
      import { LockClient } from ${JSON.stringify(join(this.folder, 'locks/lock-client.js'))};
      import { DflockdServer } from ${JSON.stringify(join(this.folder, 'daemon/server.js'))};
      const ROOM = (file) => import(${JSON.stringify(this.folder)} + '/' + file);
      ${program}
    `;
    const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', source], { cwd: this.folder });
    this.children.add(child);
    child.on('close', () => this.children.delete(child));
    return child;
  }
}
