import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { transformFile } from '@swc/core';
import { TetheredChild } from './tethered-child.js';
import { inTime, until } from './until.js';

/** A process whose new parent has not asked for its exit code yet has ended, too. */
function hasEnded(pid: number): boolean {
  try {
    return /^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}

const onLinux = process.platform === 'linux' ? it : it.skip;

describe('a child of a test', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tether-'));
    const { code } = await transformFile(fileURLToPath(new URL('tethered-child.ts', import.meta.url)), {
      jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
      module: { type: 'es6' },
    });
    await writeFile(join(folder, 'tethered-child.mjs'), code);
    const owner = `
      import { TetheredChild } from './tethered-child.mjs';
      const [, , program, tether] = process.argv;
      process.on('SIGTERM', () => process.exit());
      console.log(new TetheredChild(program, ['60'], { tether }).pid);
    `;
    await writeFile(join(folder, 'owner.mjs'), owner);
  });
  afterAll(() => rm(folder, { recursive: true }));

  onLinux.each([
    ['is killed: SIGKILL', 'SIGKILL', 'SIGKILL', process.env],
    ['is killed: SIGQUIT', 'SIGKILL', 'SIGQUIT', process.env],
    ['exits, where there is no setpriv', 'SIGTERM', 'SIGKILL', { PATH: '' }],
  ] as const)('ends with its test process that %s', async (_, signal, tether, env) => {
    const args = [join(folder, 'owner.mjs'), '/bin/sleep', tether];
    const owner = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const pid = await new Promise<number>((resolve) => {
      owner.stdout.once('data', (text: Buffer) => resolve(Number(text.toString())));
    });
    await until(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('/bin/sleep'), 'the start');
    owner.kill(signal);
    await until(() => hasEnded(pid), 'the end of the child');
  });

  it('keeps what it has said, and tells when it has ended', async () => {
    const child = new TetheredChild('/bin/sh', ['-c', 'echo out; echo err >&2; exec sleep 60']);
    await until(() => child.output.includes('out') && child.output.includes('err'), 'the output');
    expect(child.isRunning).toBe(true);
    child.kill('SIGKILL');
    await inTime(child.ended, 'the end');
    expect(child.isRunning).toBe(false);
  });
});
