import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Module, type INestApplication } from '@nestjs/common';
import { DflockdServer } from '../../lib/entries/daemon.js';
import { DflockdModule, DflockdService } from '../../lib/entries/index.js';
import { Gate } from '../e2e/support.js';
import { exampleOf } from './examples.js';
import { blocksOf } from './pages.js';
import { evaluate } from './run.js';

/** What webpack keeps of a module from one version to the next. */
interface Data {
  closed?: Promise<void>;
}

const example = exampleOf(blocksOf('docs/operations.md').find(({ code }) => code.includes('module.hot'))!);

describe('hot module replacement with embedded.listen', () => {
  let port: number;
  const applications: Promise<INestApplication>[] = [];

  beforeEach(async () => {
    const server = new DflockdServer({ port: 0 });
    ({ port } = await server.listen());
    await server.close();
  });
  afterEach(async () => {
    for (const app of await Promise.allSettled(applications.splice(0)))
      if (app.status === 'fulfilled') await app.value.close();
  });

  /** Loads a version of the application as webpack does. */
  async function load(data?: Data): Promise<{ app: Promise<INestApplication>; replace: () => Data }> {
    @Module({ imports: [DflockdModule.forRoot({ embedded: { listen: `127.0.0.1:${port}` }, logger: false })] })
    class AppModule {}
    let dispose!: (data: Data) => void;
    const hot = { data, accept() {}, dispose: (fn: typeof dispose) => (dispose = fn) };
    const quiet = {
      ...example,
      source: example.source.replace('create(AppModule)', 'create(AppModule, { logger: false, abortOnError: false })'),
    };
    const app = (await evaluate(quiet, { AppModule, module: { hot } }, { daemon: '-' }))()
      .application as Promise<INestApplication>;
    app.catch(() => {});
    applications.push(app);
    const replace = (): Data => {
      const left: Data = {};
      dispose(left);
      return left;
    };
    return { app, replace };
  }

  /** Work that the old version is still at when the new one is loaded. */
  async function busy(app: Promise<INestApplication>): Promise<Gate> {
    const locks = (await app).get(DflockdService);
    const [done, started] = [new Gate(), new Gate()];
    void locks.withLock('k', async () => {
      started.open();
      await done.opened;
    });
    await started.opened;
    return done;
  }

  it('works as docs/operations.md has it', async () => {
    const old = await load();
    const work = await busy(old.app);
    const next = await load(old.replace());
    setTimeout(work.open, 20);
    const lock = await (await next.app).get(DflockdService).acquire('k');
    expect(lock.isHeld).toBe(true);
    await lock.release();
  });

  it('would not, if the new application did not wait for the old one', async () => {
    const old = await load();
    const work = await busy(old.app);
    old.replace();
    await expect((await load()).app).rejects.toThrow('is already in use');
    work.open();
  });
});
