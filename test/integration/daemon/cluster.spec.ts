import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CommandLine } from '../../support/command-line.js';
import { CompiledLib } from '../../support/compiled-lib.js';
import { freePort } from '../../support/free-port.mjs';
import { until } from '../../support/until.js';

/** The workers of a cluster share the ports that they listen on, unless they ask for one of their own. */
describe('two workers of a cluster', () => {
  let commandLine: CommandLine;
  let lib: CompiledLib;
  let folder: string;
  const running: ChildProcess[] = [];

  beforeAll(async () => {
    commandLine = await CommandLine.build();
    lib = await CompiledLib.make();
    folder = await mkdtemp(join(tmpdir(), 'nestjs-dflockd-'));
  }, 30_000);
  afterAll(async () => {
    for (const child of running) child.kill('SIGKILL');
    await rm(folder, { recursive: true });
    await commandLine.remove();
    await lib.remove();
  });

  /** Runs a program with workers until it has said so many lines that match; returns all it said. */
  async function run(program: string, enough: (said: string) => boolean): Promise<string> {
    const file = join(folder, `primary-${running.length}.mjs`);
    await writeFile(file, program);
    const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'pipe'] });
    running.push(child);
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (said += text));
    }
    try {
      await until(() => enough(said), 'both workers', 20_000);
    } catch (error) {
      throw new Error(`${(error as Error).message}; said: ${said}`);
    }
    child.kill('SIGTERM');
    return said;
  }

  const times = (text: string, what: RegExp): number => text.match(what)?.length ?? 0;
  const CURE =
    /already in use\. Each worker of a cluster would have locks of its own:.*primary.*servers: \['127\.0\.0\.1:\d+'\]/g;

  it.each(['rr', 'none'])('do not both serve with embedded.listen (%s)', async (policy) => {
    const port = await freePort();
    const said = await run(
      `
        import cluster from 'node:cluster';
        import { LockClient } from ${JSON.stringify(lib.url('locks/lock-client.js'))};
        cluster.schedulingPolicy = cluster.${policy === 'rr' ? 'SCHED_RR' : 'SCHED_NONE'};
        if (cluster.isPrimary) {
          process.on('SIGTERM', () => process.exit());
          cluster.fork();
          cluster.fork();
        } else {
          process.on('disconnect', () => process.exit());
          const embedded = { listen: '127.0.0.1:${port}' };
          await LockClient.connect({ embedded }).then(
            () => console.log('serves'),
            (error) => console.log('refused:', error.code, error.message),
          );
        }
      `,
      (said) => times(said, /^(serves|refused)/gm) === 2,
    );
    expect(times(said, /^serves$/gm)).toBe(1);
    expect(times(said, /^refused: CONFIG /gm)).toBe(1);
    expect(said).toMatch(CURE);
  });

  it('do not both serve with the command', async () => {
    const port = await freePort();
    const said = await run(
      `
        import cluster from 'node:cluster';
        const exec = ${JSON.stringify(commandLine.file('cli/main.js'))};
        cluster.setupPrimary({ exec, args: ['daemon', '--port', '${port}'] });
        process.on('SIGTERM', () => process.exit());
        cluster.on('exit', (worker, code) => console.log('exit', code));
        cluster.fork();
        cluster.fork();
      `,
      (said) => times(said, /msg=listening|in use/g) === 2,
    );
    expect(times(said, /msg=listening/g)).toBe(1);
    expect(said).toMatch(CURE);
  });
});
