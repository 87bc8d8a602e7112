import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { transformFile } from '@swc/core';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DflockdServer } from '../../../lib/daemon/server.js';

const ROOMS = ['common', 'protocol', 'core', 'client', 'daemon', 'backends', 'locks'];

let folder: string;
let server: DflockdServer;
let port: number;

/** The framework-free half of lib as plain JavaScript: a process of its own can run it without a build. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dflockd-exit-'));
  await symlink(resolve('node_modules'), join(folder, 'node_modules'));
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  for (const room of ROOMS) {
    await mkdir(join(folder, room));
    for (const file of await readdir(join('lib', room))) {
      const { code } = await transformFile(join('lib', room, file), {
        jsc: { parser: { syntax: 'typescript', decorators: true }, target: 'es2022' },
        module: { type: 'es6' },
      });
      await writeFile(join(folder, room, file.replace(/ts$/, 'js')), code);
    }
  }
  server = new DflockdServer({ port: 0, shutdownTimeout: 0.1 });
  ({ port } = await server.listen());
}, 30_000);

afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

/** Runs a program; resolves with what it printed once it has ended by itself. */
function run(program: string): Promise<{ code: number | null; out: string }> {
  const source = `
    import { LockClient } from ${JSON.stringify(join(folder, 'locks/lock-client.js'))};
    const servers = ['127.0.0.1:${port}'];
    ${program}
  `;
  return new Promise((done, reject) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', source], { cwd: folder });
    let out = '';
    child.stdout.on('data', (chunk) => (out += chunk));
    child.stderr.on('data', (chunk) => (out += chunk));
    const timer = setTimeout(() => child.kill('SIGKILL') && reject(new Error(`still running; said: ${out}`)), 8000);
    child.on('exit', (code) => {
      clearTimeout(timer);
      done({ code, out });
    });
  });
}

describe('a process', () => {
  it.each([['{ servers }'], ['{ embedded: true }']])('ends by itself after close(): %s', async (options) => {
    const { code, out } = await run(`
      const locks = await LockClient.connect(${options});
      const held = await locks.acquire('exit-a');
      const waiting = locks.acquire('exit-a', { acquireTimeoutS: 5 }).catch((e) => e.code);
      setTimeout(() => held.release(), 50);
      await (await waiting).release();
      await locks.stats();
      await locks.close();
      console.log('closed');
    `);
    expect(out).toBe('closed\n');
    expect(code).toBe(0);
  });

  it.each([['{ servers }'], ['{ embedded: true }']])(
    'ends by itself with an idle client and a held lock: %s',
    async (options) => {
      const { code, out } = await run(`
      const locks = await LockClient.connect(${options});
      await locks.acquire('exit-b');
      console.log('idle');
    `);
      expect(out).toBe('idle\n');
      expect(code).toBe(0);
    },
  );

  it('ends by itself with a client that was never used', async () => {
    const { code, out } = await run(`
      await LockClient.connect({ servers });
      console.log('unused');
    `);
    expect(out).toBe('unused\n');
    expect(code).toBe(0);
  });

  it.each([['{ servers }'], ['{ embedded: true }'], ["{ servers: ['127.0.0.1:1'] }"]])(
    'does not end while somebody waits: %s',
    async (options) => {
      const { code, out } = await run(`
        const locks = await LockClient.connect(${options});
        const acquire = () => locks.acquire('exit-c', { acquireTimeoutS: 1.2 });
        const first = await acquire().catch((e) => e);
        console.log(await acquire().catch((e) => e.code));
      `);
      expect(out).toMatch(/^(ACQUIRE_TIMEOUT|UNAVAILABLE)\n$/);
      expect(code).toBe(0);
    },
  );
});
