import { Readable } from 'node:stream';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { Cron, ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { NEVER, Observable } from 'rxjs';
import { ConfigError, CronLock, currentLock, DflockdModule, LockLostError, WithLock } from '../../lib/entries/index.js';
import { TestLocks } from '../../lib/entries/testing.js';
import { boot, bootError, closeAll, closing, daemon, Gate, LogBook, until } from './support.js';

afterEach(closeAll);

/** Never within a test; ticks are fired by hand. */
const YEARLY = '0 0 1 1 *';

@Injectable()
class Work {
  readonly gate = new Gate();
  running = 0;

  @WithLock('limited', { maxHoldS: 60 })
  async limited(): Promise<string> {
    return this.work();
  }

  @WithLock('standard')
  async standard(): Promise<string> {
    return this.work();
  }

  @WithLock('own', { maxHoldS: 600 })
  async own(): Promise<string> {
    return this.work();
  }

  @WithLock('observable', { returns: 'observable' })
  observable(): Observable<never> {
    return NEVER;
  }

  @WithLock('stream')
  async stream(): Promise<Readable> {
    return new Readable({ read() {} });
  }

  @WithLock('steps')
  async *steps(): AsyncGenerator<number> {
    yield 1;
    yield 2;
  }

  private async work(): Promise<string> {
    this.running++;
    await this.gate.opened;
    return String(currentLock()!.isHeld);
  }
}

const begin = async (options?: ConstructorParameters<typeof TestLocks>[0]) => {
  const locks = new TestLocks(options);
  closing(() => locks.close());
  const app = await boot({ imports: [locks.module()], providers: [Work] });
  return { locks, work: app.get(Work) };
};
const outcomeOf = (promise: Promise<unknown>) => promise.catch((error: unknown) => error);

describe('maxHoldS', () => {
  it('of a method whose promise does not settle: the lock was renewed for ever', async () => {
    const { locks, work } = await begin();
    const outcome = outcomeOf(work.limited());
    await until(() => work.running === 1);
    await locks.advance(59_000);
    expect(locks.held()[0]!.remainingMs).toBeGreaterThan(1000);
    await locks.advance(1100);
    expect(locks.held()[0]!.remainingMs).toBeLessThanOrEqual(1000);
    await locks.advance(1000);
    expect(locks.held()).toEqual([]);
    work.gate.open();
    const loss = (await outcome) as LockLostError;
    expect(loss).toBeInstanceOf(LockLostError);
    expect(loss).toMatchObject({ reason: 'overdue', key: 'limited', settled: { value: 'false' } });
  });

  it('of the module is for methods without one of their own, and not for handles', async () => {
    const { locks, work } = await begin({ maxHoldS: 60 });
    const outcomes = [outcomeOf(work.standard()), outcomeOf(work.own())];
    const handle = await locks.service.acquire('handle');
    await until(() => work.running === 2);
    await locks.advance(61_200);
    expect(locks.held().map(({ key }) => key)).toEqual(['own', 'handle']);
    expect(handle.isHeld).toBe(true);
    work.gate.open();
    expect(await Promise.all(outcomes)).toMatchObject([{ reason: 'overdue' }, 'true']);
  });

  it('ends Observables, streams and generators, which would keep their lock as long as nobody reads', async () => {
    const { locks, work } = await begin({ maxHoldS: 60 });
    const errors: unknown[] = [];
    work.observable().subscribe({ error: (error: unknown) => errors.push(error) });
    const stream = await work.stream();
    stream.on('error', (error) => errors.push(error));
    const steps = work.steps();
    await steps.next();
    await until(() => locks.held().length === 3);
    await locks.advance(60_100);
    await until(() => errors.length === 2);
    await expect(steps.next()).rejects.toMatchObject({ reason: 'overdue' });
    expect(errors).toMatchObject([{ reason: 'overdue' }, { reason: 'overdue' }]);
    await until(() => locks.held().length === 0);
  });

  it('of a cron job that hangs: the next tick was skipped by all instances, for ever', async () => {
    const runs: string[] = [];
    const locked = new Gate();
    class Jobs {
      @Cron(YEARLY, { name: 'job' })
      @CronLock('nightly', { minHoldS: 0.1, maxHoldS: 0.3 })
      async tick(): Promise<void> {
        runs.push(currentLock()!.token);
        await locked.opened;
      }
    }
    const servers = [await daemon()];
    const book = new LogBook();
    const apps = await Promise.all(
      [book, false as const].map((logger) =>
        boot({
          imports: [ScheduleModule.forRoot(), DflockdModule.forRoot({ servers, logger })],
          providers: [Jobs],
        }),
      ),
    );
    const [first, second] = apps.map((app) => app.get(SchedulerRegistry).getCronJob('job'));
    void first!.fireOnTick();
    await until(() => runs.length === 1);
    await until(async () => {
      await second!.fireOnTick();
      return runs.length === 2;
    });
    expect(book.matching(/error Dflockd: lock lost: nightly \(overdue\) after \d+ ms, server /)).toHaveLength(1);
    locked.open();
  });

  it('below a minHoldS fails the boot, and names the method', async () => {
    class Jobs {
      @CronLock('nightly', { minHoldS: 90 })
      async tick(): Promise<void> {}
    }
    class Fine {
      @CronLock('nightly', { minHoldS: 90, maxHoldS: 90 })
      async tick(): Promise<void> {}
    }
    const imports = [DflockdModule.forRoot({ embedded: true, logger: false, maxHoldS: 60 })];
    const error = await bootError({ imports, providers: [Jobs] });
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toBe('Jobs.tick: option maxHoldS: expected at least minHoldS (90), got 60');
    const made = await bootError({ imports, providers: [{ provide: Jobs, useFactory: () => new Jobs() }] });
    expect(made.message).toBe(error.message);
    await boot({ imports, providers: [Fine] });
  });

  it('may be said by a test: TestLocks.lose()', async () => {
    const { locks, work } = await begin();
    const outcome = outcomeOf(work.standard());
    await until(() => work.running === 1);
    await locks.lose('standard', 'overdue');
    work.gate.open();
    expect(await outcome).toMatchObject({ reason: 'overdue' });
  });
});
