import { afterEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { Cron, ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { CronLock, DflockdModule, DflockdService, WithLock } from '../../lib/entries/index.js';
import { boot, closeAll, daemon, LogBook, until } from './support.js';

afterEach(closeAll);

/** Never within a test; ticks are fired by hand. */
const NEVER = '0 0 1 1 *';

async function instances(job: new () => object, count = 2) {
  const servers = [await daemon()];
  return Promise.all(
    Array.from({ length: count }, () =>
      boot({
        imports: [ScheduleModule.forRoot(), DflockdModule.forRoot({ servers, logger: false })],
        providers: [job],
      }),
    ),
  );
}

describe('a cron job on two instances', () => {
  it.each(['above', 'below'] as const)('runs once per tick, @CronLock %s @Cron', async (where) => {
    let runs = 0;
    class Above {
      @CronLock('nightly', { minHoldS: 0.2 })
      @Cron(NEVER, { name: 'job' })
      async tick(): Promise<void> {
        runs++;
      }
    }
    class Below {
      @Cron(NEVER, { name: 'job' })
      @CronLock('nightly', { minHoldS: 0.2 })
      async tick(): Promise<void> {
        runs++;
      }
    }
    const apps = await instances(where === 'above' ? Above : Below);
    const skipped: unknown[] = [];
    apps.forEach((app) =>
      app.get(DflockdService).events$.subscribe((event) => event.type === 'skipped' && skipped.push(event)),
    );
    const jobs = apps.map((app) => app.get(SchedulerRegistry).getCronJob('job'));
    const free = async () => {
      const lock = await apps[0]!.get(DflockdService).tryAcquire('nightly');
      return lock?.release();
    };
    for (let tick = 1; tick <= 5; tick++) {
      // The second instance is late: it comes when the first one has finished.
      await jobs[tick % 2]!.fireOnTick();
      await until(() => runs === tick);
      await jobs[(tick + 1) % 2]!.fireOnTick();
      await until(() => skipped.length === tick);
      expect(runs).toBe(tick);
      await until(free);
    }
    expect(skipped[0]).toMatchObject({ keys: ['nightly'] });
  });

  it('runs once per tick on the clock, and on both without the lock', async () => {
    const locked: number[] = [];
    const open: number[] = [];
    // A tick may be late by half a second.
    const second = () => Math.round(Date.now() / 1000);
    @Injectable()
    class Jobs {
      @CronLock('every-second', { minHoldS: 0.5 })
      @Cron('* * * * * *')
      async locked(): Promise<void> {
        locked.push(second());
      }

      @Cron('* * * * * *')
      async open(): Promise<void> {
        open.push(second());
      }
    }
    await instances(Jobs);
    const countOf = (tick: number, ticks: number[]) => ticks.filter((each) => each === tick).length;
    // Those that came on time on both; on a machine that stood still others did not.
    const ticks = () => [...new Set(open)].filter((tick) => countOf(tick, open) === 2);
    await until(() => ticks().length >= 3, 'three ticks');
    const seen = ticks().slice(0, 3);
    await until(() => second() > seen.at(-1)!, 'the end of the last one');
    expect(seen.map((tick) => countOf(tick, locked))).toEqual([1, 1, 1]);
  });
});

describe('@Cron with a throwing @WithLock', () => {
  it('is warned of once for each method', async () => {
    class Jobs {
      @Cron(NEVER)
      @WithLock('a')
      async throwing(): Promise<void> {}

      @WithLock('b', { onBusy: 'skip' })
      @Cron(NEVER)
      async skipping(): Promise<void> {}

      @WithLock('c')
      async noJob(): Promise<void> {}
    }
    class Others extends Jobs {}
    const logger = new LogBook();
    await boot({
      imports: [
        DflockdModule.forRoot({ embedded: true, logger }),
        DflockdModule.forRoot({ embedded: true, logger, instance: 'b' }),
      ],
      providers: [Jobs, Others],
    });
    const warnings = logger.matching(/@Cron/);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/^warn Dflockd: Jobs\.throwing: @Cron with a throwing @WithLock/);
  });
});
