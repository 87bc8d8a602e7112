import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DflockdServer } from '../../lib/entries/daemon.js';
import { exampleOf } from './examples.js';
import { ID } from './reader.js';
import { describeRedis } from '../support/redis/describe-redis.js';
import { RedisServer } from '../support/redis/server.js';
import { blocksIn, nameOf, needsPostgres, needsRedis, PAGES, whyNotRun } from './pages.js';
import { run } from './run.js';
import { until } from '../support/until.js';

const blocks = blocksIn('ts', 'diff');
const running = blocks.filter((block) => whyNotRun(block) === undefined);

describe('the examples of README and docs', () => {
  let daemon: DflockdServer;
  let servers: { daemon: string; lockd: string; redis?: string };

  beforeAll(async () => {
    daemon = new DflockdServer({ port: 0, lockdPort: 0 });
    const { port } = await daemon.listen();
    servers = { daemon: `127.0.0.1:${port}`, lockd: `127.0.0.1:${daemon.lockdAddress()!.port}` };
  });
  afterAll(() => daemon.close());

  const alone = running.filter((block) => !needsRedis(block) && !needsPostgres(block));
  it.each(alone.map((block) => [nameOf(block), block] as const))('run: %s', (_, block) =>
    run(exampleOf(block), servers),
  );

  describeRedis('on Redis', () => {
    let redis: RedisServer;

    beforeAll(async () => {
      redis = await RedisServer.start();
    });
    afterAll(() => redis.stop());

    it.each(running.filter(needsRedis).map((block) => [nameOf(block), block] as const))('run: %s', async (_, block) => {
      await run(exampleOf(block), { ...servers, redis: redis.address });
      // Neither the application nor the backend leaves a connection.
      await until(async () => (await redis.info('connected_clients')) === '1');
    });
  });

  /** What is wrong with an example is not overlooked. */
  it.each([
    ['a key that is refused', `await locks.acquire('a key');`, 'white space'],
    ['a name that nobody has', 'await unheard.of();', 'unheard is not defined'],
    ['an import that does not exist', `import { Lock } from 'nestjs-dflockd';\nnew Lock();`, 'is not a constructor'],
    ['text that is no TypeScript', 'await {', 'is no TypeScript'],
    ['an error that is announced and not thrown', `await locks.tryAcquire('k'); // NestedLockError`, 'was not thrown'],
    ['a method that fails', `@WithLock('k')\nasync pay(id: string): Promise<void> { throw new Error(id); }`, ID],
    ['a route that fails', `@Get()\n@WithLock('k', { instance: 'other' })\nasync pay(): Promise<void> {}`, '"other"'],
    [
      'a module that does not start',
      `@Module({ imports: [DflockdModule.forRoot({ lease: 5 } as object)] })\nclass A {}`,
      'lease',
    ],
  ])('would fail with %s', async (_, code, message) => {
    const example = async () => run(exampleOf({ page: 'page', line: 1, language: 'ts', note: '', code }), servers);
    await expect(example()).rejects.toThrow(message);
  });

  it('run, but for a few that say why they cannot', () => {
    const others = blocks.filter((block) => whyNotRun(block) !== undefined);
    expect(others.map((block) => `${nameOf(block)}: ${whyNotRun(block)}`).length).toBeLessThanOrEqual(7);
    expect(running.length).toBeGreaterThan(30);
    expect(PAGES.length).toBeGreaterThan(10);
  });
});
