import { type ChildProcess, fork } from 'node:child_process';
import type { Answer } from '../processes/serve.js';
import { nanos } from '../log/time.js';

/** The lab itself has killed the process. */
export class Killed extends Error {}

/** A process of the lab: it is asked things, and signals are sent to it. */
export class Child {
  private readonly open = new Map<number, { resolve: (value: any) => void; reject: (error: Error) => void }>();
  private asked = 0;
  private said = '';
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  private alive = true;
  private killed = false;
  private stopped = false;

  private constructor(
    private readonly process: ChildProcess,
    readonly name: string,
  ) {
    process.stderr!.on('data', (chunk: Buffer) => (this.said += chunk.toString()));
    process.on('message', ({ id, value, error }: Answer) => {
      const waiting = this.open.get(id);
      this.open.delete(id);
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(new Error(`${name}: ${error}`));
    });
    this.ended = new Promise((resolve) => {
      process.on('exit', (code, signal) => {
        this.alive = false;
        const reason = this.gone(`ended (${signal ?? code})`);
        for (const { reject } of this.open.values()) reject(reason);
        this.open.clear();
        resolve();
      });
    });
  }

  /** @param program beside this file's folder @param env more of the environment */
  static async start(
    program: string,
    name: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Child> {
    const path = new URL(`../processes/${program}.js`, import.meta.url);
    const child = fork(path, args, {
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      env: { ...process.env, ...env },
    });
    const started = new Child(child, name);
    await new Promise((resolve, reject) => started.open.set(0, { resolve, reject }));
    return started;
  }

  get isAlive(): boolean {
    return this.alive;
  }

  ask<T = void>(what: string, ...args: readonly unknown[]): Promise<T> {
    if (!this.alive) return Promise.reject(this.gone('has ended'));
    const id = ++this.asked;
    const answer = new Promise<T>((resolve, reject) => {
      this.open.set(id, { resolve, reject });
      this.process.send({ id, what, args }, (error) => {
        if (error) reject(this.gone('does not listen any more'));
      });
    });
    // Who asked may have turned to something else by then.
    answer.catch(() => undefined);
    return answer;
  }

  /** SIGSTOP; returns when, in nanoseconds. */
  stop(): number {
    this.stopped = true;
    const at = nanos();
    this.process.kill('SIGSTOP');
    return at;
  }

  continue(): void {
    if (this.stopped) this.process.kill('SIGCONT');
    this.stopped = false;
  }

  /** SIGKILL; resolves with the time at which it was sent, once it has gone. */
  async kill(): Promise<number> {
    const at = nanos();
    this.killed = true;
    if (this.alive) this.process.kill('SIGKILL');
    await this.ended;
    return at;
  }

  private gone(how: string): Error {
    const text = `${this.name} ${how}: ${this.said}`;
    return this.killed ? new Killed(text) : new Error(text);
  }
}
