import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { DflockdModule, DflockdService, LockLostError, ShuttingDownError, WithLock } from '../../lib/entries/index.js';
import { boot, bootError, bootHttp, closeAll, daemon, Gate, LogBook, until } from './support.js';

afterEach(closeAll);

@Injectable()
class Work implements OnModuleDestroy {
  readonly gate = new Gate();
  running = 0;
  inDestroy: boolean | undefined;

  constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

  @WithLock('work', { acquireTimeoutS: 30 })
  async run(): Promise<string> {
    this.running++;
    await this.gate.opened;
    return 'done';
  }

  async onModuleDestroy(): Promise<void> {
    await using lock = await this.locks.acquire('destroy');
    this.inDestroy = lock.isHeld;
  }
}

describe.each(['embedded', 'a daemon'])('shutdown on %s', (where) => {
  const options = async () => (where === 'embedded' ? { embedded: true as const } : { servers: [await daemon()] });

  it('waits for running bodies, rejects who waits, tells holders, completes the streams', async () => {
    const logger = new LogBook();
    const app = await boot({
      imports: [DflockdModule.forRoot({ ...(await options()), logger, shutdownTimeoutS: 2 })],
      providers: [Work],
    });
    const work = app.get(Work);
    const events: string[] = [];
    work.locks.events$.subscribe({
      next: (event) => events.push(event.type),
      complete: () => events.push('complete'),
    });
    const running = work.run();
    await until(() => work.running === 1);
    const waiting = work.run();
    waiting.catch(() => undefined);
    await until(() => events.includes('queued'));
    const byHand = await work.locks.acquire('by-hand');
    const { signal } = byHand;

    let closed = false;
    const closing = app.close().then(() => (closed = true));
    await expect(waiting).rejects.toThrow(ShuttingDownError);
    await until(() => signal.aborted);
    expect(signal.reason).toBeInstanceOf(LockLostError);
    expect(signal.reason).toMatchObject({ reason: 'shutdown' });
    // A feature module's onModuleDestroy could still take locks; nothing new can now.
    expect(work.inDestroy).toBe(true);
    await expect(work.locks.acquire('new')).rejects.toThrow(ShuttingDownError);
    await expect(work.run()).rejects.toThrow(ShuttingDownError);
    await new Promise((resolve) => setImmediate(resolve));
    expect([closed, work.running]).toEqual([false, 1]);

    work.gate.open();
    await expect(running).resolves.toBe('done');
    await closing;
    expect(events.at(-1)).toBe('complete');
    expect(byHand.isHeld).toBe(false);
    // Its own closing is no lost connection.
    expect(logger.matching(/^(warn|error) Dflockd: connection/)).toEqual([]);
  });

  it('does not wait longer than shutdownTimeoutS for a body', async () => {
    const app = await boot({
      imports: [DflockdModule.forRoot({ ...(await options()), logger: false, shutdownTimeoutS: 0.1 })],
      providers: [Work],
    });
    const work = app.get(Work);
    const running = work.run();
    await until(() => work.running === 1);
    await app.close();
    work.gate.open();
    await expect(running).rejects.toMatchObject({ code: 'LOCK_LOST', reason: 'shutdown', settled: { value: 'done' } });
  });

  it('is not delayed by a minimum hold', async () => {
    class Brief {
      @WithLock('brief', { minHoldS: 60 })
      async m(): Promise<number> {
        return 1;
      }
    }
    const app = await boot({
      imports: [DflockdModule.forRoot({ ...(await options()), logger: false })],
      providers: [Brief],
    });
    await expect(app.get(Brief).m()).resolves.toBe(1);
    const lock = await app.get(DflockdService).tryAcquire('brief');
    expect(lock).toBeNull();
    const before = performance.now();
    await app.close();
    expect(performance.now() - before).toBeLessThan(2000);
  });

  it('leaves nothing that would keep the process alive', async () => {
    const keeping = () => process.getActiveResourcesInfo().filter((name) => /TCP|Timeout|TLS/.test(name)).length;
    const given = await options();
    const before = keeping();
    const app = await boot({ imports: [DflockdModule.forRoot({ ...given, logger: false })], providers: [Work] });
    app.get(Work).gate.open();
    await Promise.all([app.get(Work).run(), app.get(Work).run()]);
    await app.close();
    await until(() => keeping() <= before);
  });
});

describe('a request in flight at shutdown', () => {
  it('finishes with its locks', async () => {
    const gate = new Gate();
    let entered = 0;
    @Controller()
    class Web {
      constructor(@Inject(DflockdService) readonly locks: DflockdService) {}
      @Get()
      async get(): Promise<boolean> {
        entered++;
        await gate.opened;
        return this.locks.withLock('late', (lock) => lock.isHeld);
      }
    }
    const { app, fetch } = await bootHttp({
      imports: [DflockdModule.forRoot({ embedded: true, logger: false })],
      controllers: [Web],
    });
    const answer = fetch('/', { headers: { connection: 'close' } });
    await until(() => entered === 1);
    const closing = app.close();
    await new Promise((resolve) => setImmediate(resolve));
    gate.open();
    expect(await (await answer).json()).toBe(true);
    await closing;
  });
});

describe('startup', () => {
  const nowhere = { servers: ['127.0.0.1:1'], logger: false as const };

  it('require: no server, no boot', async () => {
    const error = await bootError({ imports: [DflockdModule.forRoot({ ...nowhere, startup: 'require' })] });
    expect(error).toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('connect: warns and goes on', async () => {
    const logger = new LogBook();
    const app = await boot({ imports: [DflockdModule.forRoot({ ...nowhere, logger })] });
    expect(logger.matching(/^warn Dflockd: /).length).toBeGreaterThan(0);
    await app.close();
  });

  it('logs a connection once, and nothing with logger: false', async () => {
    const servers = [await daemon()];
    const logger = new LogBook();
    const app = await boot({ imports: [DflockdModule.forRoot({ servers, logger })] });
    await app.get(DflockdService).ping();
    expect(logger.matching(/^log Dflockd: connected to /)).toHaveLength(1);
  });

  it('embedded: says that other processes are not excluded, unless it listens', async () => {
    const logger = new LogBook();
    await boot({ imports: [DflockdModule.forRoot({ embedded: true, logger })] });
    await boot({ imports: [DflockdModule.forRoot({ embedded: { listen: '127.0.0.1:0' }, logger })] });
    expect(logger.matching(/^log Dflockd: locks are local to this process/)).toHaveLength(1);
  });

  it('a port in use names `servers`', async () => {
    const listen = await daemon();
    const error = await bootError({ imports: [DflockdModule.forRoot({ embedded: { listen }, logger: false })] });
    expect(error).toMatchObject({ code: 'CONFIG' });
    expect(error.message).toMatch(/servers/);
  });
});
