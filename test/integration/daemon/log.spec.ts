import { spawn, type ChildProcess } from 'node:child_process';
import { openSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { CommandLine } from '../../support/command-line.js';
import { freePort } from '../../support/free-port.mjs';
import { inTime, until } from '../../support/until.js';
import { Wire } from '../../support/wire.js';
import { PING, useDaemons } from './harness.js';

let commandLine: CommandLine;
beforeAll(async () => {
  commandLine = await CommandLine.build();
}, 30_000);
afterAll(() => commandLine.remove());

describe('a daemon outlives its log', () => {
  const running: ChildProcess[] = [];
  afterEach(() => {
    for (const child of running.splice(0)) child.kill('SIGKILL');
  });

  /** A daemon with room for one connection, which says something whenever another one comes. */
  async function start(
    stderr: 'pipe' | number,
    before = '',
  ): Promise<{ child: ChildProcess; port: number; wire: Wire }> {
    const port = await freePort();
    const args = ['daemon', '--port', String(port), '--max-connections', '1', '--shutdown-timeout', '1'];
    const command = [process.execPath, commandLine.file('cli/main.js'), ...args];
    const child = spawn('/bin/sh', ['-c', `${before} exec "$@"`, 'sh', ...command], {
      env: { PATH: process.env.PATH },
      stdio: ['ignore', 'ignore', stderr],
    });
    running.push(child);
    const wire = await until(() => Wire.tcp({ host: '127.0.0.1', port }).catch(() => undefined), 'the port', 20_000);
    return { child, port, wire };
  }

  async function provoke(port: number, times: number): Promise<void> {
    for (let i = 0; i < times; i++) await (await Wire.tcp({ host: '127.0.0.1', port })).whenClosed();
  }

  async function endsWell(child: ChildProcess, wire: Wire): Promise<void> {
    expect(await wire.ask(PING)).toBe('ok');
    wire.destroy();
    const exit = new Promise((resolve) => child.once('exit', (...how) => resolve(how)));
    child.kill('SIGTERM');
    expect(await inTime(exit, 'the end of the daemon')).toEqual([0, null]);
  }

  it('on a disk that is full', async () => {
    const { child, port, wire } = await start(openSync('/dev/full', 'w'));
    await provoke(port, 3);
    await endsWell(child, wire);
  });

  it('whose reader has gone', async () => {
    const { child, port, wire } = await start('pipe');
    child.stderr!.destroy();
    await provoke(port, 3);
    await endsWell(child, wire);
  });

  it('whose reader stands still, and does not wait for it at the end', async () => {
    // The pipe is full before the daemon says its first word.
    const { child, port, wire } = await start('pipe', 'head -c 10000000 /dev/zero >&2 & sleep 0.5;');
    await provoke(port, 3);
    await endsWell(child, wire);
  });
});

describe('a daemon without file descriptors', () => {
  it('says so, once a second, and serves who is connected', async () => {
    const command = [process.execPath, commandLine.file('cli/main.js'), 'daemon', '--port', '0'];
    const child = spawn('/bin/sh', ['-c', 'ulimit -n 40; exec "$@"', 'sh', ...command], {
      env: {},
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const wires: Wire[] = [];
    try {
      let log = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
      const [, port] = await until(() => /msg=listening addr=\S+:(\d+)/.exec(log), 'the port', 20_000);
      for (let i = 0; i < 60; i++) wires.push(await Wire.tcp({ host: '127.0.0.1', port: Number(port) }));
      const told = (): number => log.match(/level=ERROR msg="no file descriptors left/g)?.length ?? 0;
      await until(() => told() >= 2, 'two lines');
      const began = performance.now();
      const before = told();
      expect(await wires[0]!.ask(PING)).toBe('ok');
      await until(() => performance.now() - began > 2000);
      expect(told() - before).toBeLessThanOrEqual(4);
    } finally {
      for (const wire of wires) wire.destroy();
      child.kill('SIGKILL');
    }
  });
});

describe('the log of a daemon', () => {
  const start = useDaemons();

  it('tells refusals once a second, with a count', async () => {
    const lines: Record<string, unknown>[] = [];
    const logger = (level: string, message: string, attributes = {}) =>
      void lines.push({ level, message, ...attributes });
    const daemon = await start({ maxConnections: 1 }, { logger });
    const wire = await daemon.open();
    expect(await wire.ask(PING)).toBe('ok');
    const began = performance.now();
    for (let i = 0; i < 100; i++) await (await daemon.open()).whenClosed();
    const refused = (): Record<string, unknown>[] => lines.filter(({ message }) => /refused/.test(String(message)));
    const total = (): number => refused().reduce((sum, { count }) => sum + Number(count), 0);
    await until(() => total() === 100, 'the last refusals');
    expect(refused().length).toBeLessThanOrEqual(2 + (performance.now() - began) / 1000);
    expect(refused()[0]).toMatchObject({ level: 'warn', peer: '127.0.0.1' });
  });

  it('tells wrong tokens once a second, with a count, and never the token', async () => {
    const lines: Record<string, unknown>[] = [];
    const logger = (level: string, message: string, attributes = {}) =>
      void lines.push({ level, message, ...attributes });
    const daemon = await start({ authToken: 'right' }, { logger });
    const began = performance.now();
    const wires = await Promise.all(Array.from({ length: 50 }, () => daemon.open()));
    for (const wire of wires) wire.send('auth\n_\nwrong-one\n');
    await Promise.all(wires.map((wire) => wire.whenClosed()));
    const refused = (): Record<string, unknown>[] =>
      lines.filter(({ message }) => /authentication/.test(String(message)));
    const total = (): number => refused().reduce((sum, { count }) => sum + Number(count), 0);
    await until(() => total() === 50, 'the last refusals');
    expect(refused().length).toBeLessThanOrEqual(2 + (performance.now() - began) / 1000);
    expect(refused()[0]).toMatchObject({ level: 'warn', peer: '127.0.0.1' });
    expect(JSON.stringify(lines)).not.toMatch(/wrong-one|right/);
  });

  it('may throw', async () => {
    const logger = (): never => {
      throw new Error('full');
    };
    const daemon = await start({ maxConnections: 1 }, { logger });
    const wire = await daemon.open();
    await (await daemon.open()).whenClosed();
    expect(await wire.ask(PING)).toBe('ok');
    wire.destroy();
    await inTime(daemon.server.close(), 'close');
  });
});
