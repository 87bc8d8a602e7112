import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CompiledLib } from '../support/compiled-lib.js';
import { nestProgram } from './nest-programs.js';

let lib: CompiledLib;
beforeAll(async () => {
  lib = await CompiledLib.make({ nest: true });
}, 30_000);
afterAll(() => lib.remove());

const CALLS = Number(process.env.LOCKED_CALLS ?? 50_000);
/** What needs many calls runs in `npm run test:heap` only. */
const dear = process.env.LOCKED_CALLS === undefined ? it.skip : it;

describe('an application in a process of its own', () => {
  dear(
    `has the heap it had, after ${CALLS} locked calls`,
    async () => {
      const { code, out } = await lib.run(
        `${nestProgram(lib)}
      class Orders {
        async pay(id) { return id; }
      }
      decorate(Orders, 'pay', WithLock('order:{0}'));
      const app = await NestFactory.createApplicationContext({
        module: class App {},
        imports: [DflockdModule.forRoot({ embedded: true, logger: false })],
        providers: [Orders],
      }, { logger: false });
      const orders = app.get(Orders);
      const call = async (count) => { for (let i = 0; i < count; i++) await orders.pay(i % 1000); };
      const heap = () => { gc(); gc(); return process.memoryUsage().heapUsed; };
      await call(20_000);
      const before = heap();
      await call(${CALLS});
      console.log(heap() - before);
      await app.close();
    `,
        120_000,
      );
      expect(code).toBe(0);
      expect(Math.abs(Number(out))).toBeLessThan(2_000_000);
    },
    130_000,
  );

  dear.each([
    ['withLock', "run: () => app.get(DflockdService).withLock('k', async () => void next())"],
    ['@WithLock', 'run: () => jobs.locked()'],
    ['@CronLock', 'run: () => jobs.tick()'],
    [
      'lock.run',
      "run: async () => { const lock = await app.get(DflockdService).acquire('k'); lock.run(next); await lock.release(); }",
    ],
  ])(
    `has the heap it had, after ${CALLS} rounds of %s that each begin the next one under their lock`,
    async (_, way) => {
      const { code, out } = await lib.run(
        `${nestProgram(lib)}
        let app, goes, rounds = 0, done;
        class Jobs {
          async locked() { next(); }
          async tick() { next(); }
        }
        decorate(Jobs, 'locked', WithLock('k'));
        decorate(Jobs, 'tick', CronLock('k', { minHoldS: 0 }));
        app = await NestFactory.createApplicationContext({
          module: class App {},
          imports: [DflockdModule.forRoot({ embedded: true, logger: false })],
          providers: [Jobs],
        }, { logger: false });
        const jobs = app.get(Jobs);
        const way = { ${way} };
        const next = () => setImmediate(() => ++rounds < goes ? way.run().catch((error) => { throw error; }) : done());
        const heap = () => { gc(); gc(); return process.memoryUsage().heapUsed; };
        const run = (count) => new Promise((resolve) => {
          // Within the last round: what it keeps of those before is what counts.
          [goes, done] = [rounds + count, () => resolve(heap())];
          next();
        });
        const before = await run(20_000);
        console.log((await run(${CALLS})) - before);
        await app.close();
      `,
        300_000,
      );
      expect(code).toBe(0);
      expect(Math.abs(Number(out))).toBeLessThan(2_000_000);
    },
    310_000,
  );

  it('ends by itself once it is closed, with locks used and a connection open', async () => {
    const port = await lib.daemon();
    const { code, out } = await lib.run(
      `
      ${nestProgram(lib)}
      class Orders {
        async pay() { return 'paid'; }
      }
      decorate(Orders, 'pay', WithLock('order'));
      const app = await NestFactory.createApplicationContext({
        module: class App {},
        imports: [DflockdModule.forRoot({ servers: ['127.0.0.1:${port}'], logger: false })],
        providers: [Orders],
      }, { logger: false });
      console.log(await Promise.all([app.get(Orders).pay(), app.get(Orders).pay()]));
      await app.close();
    `,
      20_000,
    );
    expect({ code, out }).toEqual({ code: 0, out: "[ 'paid', 'paid' ]\n" });
  }, 30_000);

  it('needs no package besides Nest, RxJS and reflect-metadata', async () => {
    const hook = `
      import { writeSync } from 'node:fs';
      export async function resolve(specifier, context, next) {
        if (context.parentURL?.endsWith('.js') && context.parentURL.startsWith(${JSON.stringify(lib.url(''))}) && !/^(\\.|node:)/.test(specifier)) {
          writeSync(1, specifier + ' ');
        }
        return next(specifier, context);
      }
    `;
    const { out } = await lib.run(
      `
      import { register } from 'node:module';
      register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hook)}));
      await import(${JSON.stringify(lib.url('entries/index.js'))});
    `,
      20_000,
    );
    const packages = [...new Set(out.trim().split(' '))].sort();
    expect(packages).toEqual(['@nestjs/common', '@nestjs/core', 'reflect-metadata', 'rxjs']);
  }, 30_000);
});
