import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { CompiledLib, type Conversation } from '../support/compiled-lib.js';
import { nestProgram } from './nest-programs.js';

/**
 * A daemon and two instances of an application, in processes of their own, with one cron job every second. Each instance
 * is killed and started again: no tick may run twice, and a kill may cost one tick, the one at which it happened. A second
 * job, without a lock, tells which ticks came on time: the others may fall together with the next one.
 * `npm run test:cron` runs it, for CRON_SECONDS; `npm test` does not.
 */
const SECONDS = Number(process.env.CRON_SECONDS ?? 5);
const dear = process.env.CRON_SECONDS === undefined ? it.skip : it;
const KILLS = SECONDS < 30 ? 2 : 4;

let lib: CompiledLib;
let folder: string;

beforeAll(async () => {
  lib = await CompiledLib.make({ nest: true });
  folder = await mkdtemp(join(tmpdir(), 'cron-'));
}, 30_000);
afterAll(async () => {
  await lib.remove();
  await rm(folder, { recursive: true });
});

/** The hold ends half a second after the tick at which it began. */
const ON_TIME_MS = 400;

async function instance(port: number, file: string, beats: string): Promise<Conversation> {
  const program = lib.start(`
    ${nestProgram(lib)}
    import { appendFileSync } from 'node:fs';
    import { Cron, ScheduleModule } from '@nestjs/schedule';
    class Jobs {
      async tick() {
        appendFileSync(${JSON.stringify(file)}, Date.now() + '\\n');
      }
    }
    decorate(Jobs, 'tick', Cron('* * * * * *'), CronLock('tick', { minHoldS: 0.5 }));
    class Beats {
      async beat() {
        appendFileSync(${JSON.stringify(beats)}, Date.now() + '\\n');
      }
    }
    decorate(Beats, 'beat', Cron('* * * * * *'));
    await NestFactory.createApplicationContext({
      module: class App {},
      imports: [ScheduleModule.forRoot(), DflockdModule.forRoot({ servers: ['127.0.0.1:${port}'], startup: 'require', logger: false })],
      providers: [Jobs, Beats],
    }, { logger: false });
    console.log('ready');
  `);
  expect(await program.line(20_000)).toBe('ready');
  return program;
}

dear(
  `runs once per tick for ${SECONDS} s, over ${KILLS} kills`,
  async () => {
    const port = await lib.daemon();
    const file = join(folder, 'ticks');
    const beatsFile = join(folder, 'beats');
    const start = () => instance(port, file, beatsFile);
    const instances = [await start(), await start()];
    const first = Math.floor(Date.now() / 1000) + 1;
    const last = first + SECONDS;
    const at = (second: number) => new Promise((resolve) => setTimeout(resolve, second * 1000 - Date.now()));

    const killed: number[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      // At another moment of the second each time.
      await at(first + ((kill + 0.5) * SECONDS) / KILLS + ((kill * 0.37) % 1));
      killed.push(Date.now() / 1000);
      await instances[kill % 2]!.kill();
      instances[kill % 2] = await start();
    }
    await at(last + 0.5);

    const numbers = async (of: string) => (await readFile(of, 'utf8')).trim().split('\n').map(Number);
    const ran = await numbers(file);
    const tickOf = (at: number) => Math.round(at / 1000);
    const isOnTime = (at: number) => at - tickOf(at) * 1000 > -20 && at - tickOf(at) * 1000 < ON_TIME_MS;
    const ticks = ran
      .filter(isOnTime)
      .map(tickOf)
      .filter((tick) => tick >= first && tick <= last);
    expect(ticks).toEqual([...new Set(ticks)]);
    const beats = await numbers(beatsFile);
    /** How late those were that came after this tick and before the next one. */
    const lateness = (all: number[], tick: number) =>
      all.map((at) => at - tick * 1000).filter((late) => late > -20 && late < 980);
    const inTime = (tick: number) =>
      [...lateness(beats, tick), ...lateness(ran, tick)].every((late) => late < ON_TIME_MS);
    const due = Array.from({ length: SECONDS + 1 }, (_, i) => first + i).filter(
      (tick) => lateness(beats, tick).length > 0 && inTime(tick) && inTime(tick - 1),
    );
    const missed = due.filter((tick) => !ticks.includes(tick));
    // The window of a kill: the tick before it may have been under way, and the one after may find the lock still held.
    const blamed = killed.map((time) => missed.filter((tick) => tick >= Math.floor(time) && tick <= Math.ceil(time)));
    expect(blamed.every((those) => those.length <= 1)).toBe(true);
    expect(missed).toEqual([...new Set(blamed.flat())]);
  },
  (SECONDS + 120) * 1000,
);
