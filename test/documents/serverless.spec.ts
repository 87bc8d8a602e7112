import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DflockdServer } from '../../lib/entries/daemon.js';
import { CompiledLib } from '../support/compiled-lib.js';
import { until } from '../support/until.js';
import { blocksOf } from './pages.js';

/** The options that the page gives. */
const [, options] = /forRoot\((\{.*\})\);/s.exec(
  blocksOf('docs/serverless.md').find(({ code }) => code.includes('leaseTtlS'))!.code,
)!;

/** `npm run test:types` runs it, because a freeze takes its time. */
const dear = process.env.TYPES === 'all' ? describe : describe.skip;

dear('an instance with the options of docs/serverless.md that is frozen and thawed', () => {
  let lib: CompiledLib;
  let daemon: DflockdServer;

  beforeAll(async () => {
    lib = await CompiledLib.make();
    daemon = new DflockdServer({ port: 0, readTimeout: 1 });
  });
  afterAll(async () => {
    await lib.remove();
    await daemon.close();
  });

  it('knows that it has lost its lock, and takes the next one without an error', async () => {
    const { port } = await daemon.listen();
    const instance = lib.start(`
      const locks = await LockClient.connect(${options!.replace('dflockd:6388', `127.0.0.1:${port}`)});
      const held = await locks.acquire('held');
      await locks.withLock('order:7', async () => {});
      const answers = {
        look: () => held.isHeld,
        next: () => locks.withLock('order:7', async (lock) => lock.isHeld),
        aborted: () => held.signal.aborted,
      };
      console.log(process.pid);
      process.stdin.on('data', async (line) => {
        try {
          console.log(JSON.stringify(await answers[String(line).trim()]()));
        } catch (error) {
          console.log(JSON.stringify(error.message));
        }
      });
    `);
    const pid = Number(await instance.line());
    process.kill(pid, 'SIGSTOP');
    await until(() => daemon.connections === 0, 'the daemon to close the connections of the frozen instance');
    process.kill(pid, 'SIGCONT');
    expect(await instance.ask('look')).toBe(false);
    expect(await instance.ask('next')).toBe(true);
    expect(await instance.ask('aborted')).toBe(true);
  });
});
