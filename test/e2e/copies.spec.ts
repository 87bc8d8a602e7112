import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TwoBuilds } from '../support/two-builds.js';

/** What every program here begins with: E is the ESM build, C the CommonJS build. */
const BOTH = `
  import 'reflect-metadata';
  import { Controller, Get, Injectable, Module, UseFilters } from '@nestjs/common';
  import { NestFactory } from '@nestjs/core';
  import { firstValueFrom, of, toArray } from 'rxjs';
  const load = async (name) => [await import('./esm/entries/' + name + '.js'), require('./cjs/entries/' + name + '.js')];
  const [E, C] = await load('index');
  const [EC, CC] = await load('client');
  const [ET, CT] = await load('testing');
  const decorate = (type, method, ...decorators) => {
    const descriptor = Object.getOwnPropertyDescriptor(type.prototype, method);
    for (const decorator of decorators.reverse()) decorator(type.prototype, method, descriptor);
    Object.defineProperty(type.prototype, method, descriptor);
  };
  const attempt = async (fn) => {
    try {
      return { value: await fn() };
    } catch (error) {
      return { error };
    }
  };
  const shown = ({ value, error }) => (error ? error.name + ': ' + error.message : value);
  const say = (value) => console.log(JSON.stringify(value ?? null, (_, v) => (v === undefined ? 'undefined' : v)));
`;

/** An application of the ESM build with a provider that a CommonJS library has decorated. */
const APPLICATION = `
  class Jobs {
    runs = 0;
    async skips() { return ++this.runs; }
    async ticks() { this.runs++; }
    async answers() { return 'ran'; }
    answers$() { return of('ran'); }
    async *steps() { yield 'ran'; }
    async now() { return [E, C, EC, CC].map((copy) => copy.currentLock()?.keys.join()); }
    async nested() { return this.now(); }
    async throws() { return 'ran'; }
  }
  decorate(Jobs, 'skips', C.WithLock('busy', { onBusy: 'skip' }));
  decorate(Jobs, 'ticks', C.CronLock('busy', { minHoldS: 0 }));
  decorate(Jobs, 'answers', C.WithLock('busy', { acquireTimeoutS: 0, onBusy: (error) => 'instead of ' + error.key }));
  decorate(Jobs, 'answers$', C.WithLock('busy', { acquireTimeoutS: 0, returns: 'observable', onBusy: () => of('instead') }));
  decorate(Jobs, 'steps', C.WithLock('busy', { acquireTimeoutS: 0, onBusy: async function* () { yield 'instead'; } }));
  decorate(Jobs, 'now', C.WithLock('free'));
  decorate(Jobs, 'nested', E.WithLock('free'));
  decorate(Jobs, 'throws', C.WithLock('busy', { acquireTimeoutS: 0 }));
  Injectable()(Jobs);
`;

/** Each builds or starts something: `npm run test:copies` runs them. */
const dear = process.env.COPIES === 'all' ? describe : describe.skip;

let builds: TwoBuilds;
beforeAll(async () => (builds = await TwoBuilds.make()), 120_000);
afterAll(() => builds?.remove());

dear('an ESM application with a CommonJS library that brings its own copy', () => {
  it('skips, replaces, nests and names errors as with one copy', async () => {
    const said = await builds.run<Record<string, unknown>>(`
      ${BOTH}
      ${APPLICATION}
      class App {}
      Module({ imports: [E.DflockdModule.forRoot({ embedded: true, logger: false })], providers: [Jobs] })(App);
      const app = await NestFactory.createApplicationContext(App, { logger: false });
      const [jobs, locks] = [app.get(Jobs), app.get(E.DflockdService)];
      const held = await locks.acquire('busy');
      const failed = (await attempt(() => jobs.throws())).error;
      class Own extends C.AcquireTimeoutError {}
      const out = {
        skips: shown(await attempt(() => jobs.skips())),
        ticks: shown(await attempt(() => jobs.ticks())),
        runs: jobs.runs,
        answers: shown(await attempt(() => jobs.answers())),
        observable: shown(await attempt(() => firstValueFrom(jobs.answers$().pipe(toArray())))),
        generator: shown(await attempt(async () => { const all = []; for await (const one of jobs.steps()) all.push(one); return all; })),
        now: shown(await attempt(() => jobs.now())),
        nested: shown(await attempt(() => jobs.nested())),
        instanceOf: [E, C, EC, CC].map((copy) => [
          failed instanceof copy.LockError,
          failed instanceof copy.AcquireTimeoutError,
          failed instanceof copy.LockLostError,
        ]),
        own: [failed instanceof Own, new Own('k') instanceof E.AcquireTimeoutError, new Own('k') instanceof Own],
        service: locks instanceof C.DflockdService,
      };
      await held.release();
      out.free = await jobs.skips();
      await app.close();
      say(out);
    `);
    expect(said).toEqual({
      skips: 'undefined',
      ticks: 'undefined',
      runs: 0,
      answers: 'instead of busy',
      observable: ['instead'],
      generator: ['instead'],
      now: ['free', 'free', 'free', 'free'],
      nested: expect.stringMatching(/^NestedLockError: "free" is already held by a lock of the current async context/),
      instanceOf: [
        [true, true, false],
        [true, true, false],
        [true, true, false],
        [true, true, false],
      ],
      own: [false, true, true],
      service: true,
      free: 1,
    });
  });

  it('answers a busy lock with 423, whichever copy decorated the handler', async () => {
    const said = await builds.run(`
      ${BOTH}
      class Web {
        async method() { return 'ran'; }
        async request() { return [E, C].map((copy) => copy.currentLock()?.keys.join()).join(); }
        async both() { return [E, C].map((copy) => copy.currentLock()?.keys.join()).join(); }
      }
      decorate(Web, 'method', Get('method'), C.WithLock('busy', { acquireTimeoutS: 0 }));
      decorate(Web, 'request', Get('request'), C.LockRequest(() => 'busy', { acquireTimeoutS: 0 }));
      decorate(Web, 'both', Get('both'), C.LockRequest(() => 'outer'), E.LockRequest(() => 'inner'));
      Controller()(Web);
      class App {}
      Module({ imports: [E.DflockdModule.forRoot({ embedded: true, logger: false })], controllers: [Web] })(App);
      const app = await NestFactory.create(App, { logger: false });
      await app.listen(0, '127.0.0.1');
      const url = await app.getUrl();
      const get = async (path) => { const r = await fetch(url + '/' + path); return [r.status, await r.text()]; };
      const held = await app.get(E.DflockdService).acquire('busy');
      const [method] = await get('method');
      const [request] = await get('request');
      await held.release();
      say({ method, request, free: await get('request'), both: await get('both') });
      await app.close();
    `);
    expect(said).toEqual({ method: 423, request: 423, free: [200, 'busy,busy'], both: [200, 'inner,inner'] });
  });

  it('joins, limits and gives up over copies', async () => {
    const said = await builds.run(`
      ${BOTH}
      class Base {
        async work() {
          const { signal } = E.currentLock();
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
          return [E, C].map((copy) => copy.currentLock().isHeld);
        }
      }
      decorate(Base, 'work', C.WithLock('k', { onNested: 'join', maxHoldS: 60 }));
      class Sub extends Base {
        async work() { return super.work(); }
        async waits(signal) { return 'ran'; }
      }
      decorate(Sub, 'work', E.WithLock('k', { maxHoldS: 0.2 }));
      decorate(Sub, 'waits', E.WithLock('k', { signal: (signal) => signal }));
      Injectable()(Sub);
      class App {}
      Module({ imports: [C.DflockdModule.forRoot({ embedded: true, logger: false })], providers: [Sub] })(App);
      const app = await NestFactory.createApplicationContext(App, { logger: false });
      const sub = app.get(Sub);
      // The timer of a limit does not keep a process alive.
      const alive = setInterval(() => undefined, 1000);
      const { error } = await attempt(() => sub.work());
      const giveUp = new AbortController();
      const held = await app.get(C.DflockdService).acquire('k');
      const waits = attempt(() => sub.waits(giveUp.signal));
      giveUp.abort(new Error('given up'));
      clearInterval(alive);
      const out = [
        [error.reason, error instanceof E.LockLostError, error instanceof C.LockLostError, error.settled.value],
        (await waits).error.message,
      ];
      await held.release();
      await app.close();
      say(out);
    `);
    expect(said).toEqual([['overdue', true, true, [false, false]], 'given up']);
  });

  it("injects the application's service into the library's classes", async () => {
    const said = await builds.run(`
      ${BOTH}
      class Library {
        constructor(locks, signals) { this.locks = locks; this.signals = signals; }
      }
      Injectable()(Library);
      Reflect.defineMetadata('design:paramtypes', [C.DflockdService, C.DflockdSignals], Library);
      class App {}
      Module({ imports: [E.DflockdModule.forRoot({ embedded: true, logger: false })], providers: [Library] })(App);
      const app = await NestFactory.createApplicationContext(App, { logger: false });
      const { locks, signals } = app.get(Library);
      say([locks === app.get(E.DflockdService), signals === app.get(E.DflockdSignals), signals instanceof C.DflockdSignals]);
      await app.close();
    `);
    expect(said).toEqual([true, true, true]);
  });

  it('attaches locks of one copy to objects that another has decorated', async () => {
    const said = await builds.run(`
      ${BOTH}
      ${APPLICATION}
      const locks = new ET.TestLocks();
      const jobs = CT.attachLocks(Object.freeze(new Jobs()), locks);
      await locks.occupy('busy');
      const out = [locks instanceof CT.TestLocks, shown(await attempt(() => jobs.throws())), await jobs.now()];
      // The locks that nobody names are the same for both copies.
      const [one, two] = [ET.attachLocks(new Jobs()), CT.attachLocks(new Jobs())];
      let free;
      const held = new Promise((resolve) => (free = resolve));
      one.answers = undefined;
      class Slow { hold() { return held; } }
      decorate(Slow, 'hold', E.WithLock('busy'));
      const slow = ET.attachLocks(new Slow());
      const holding = slow.hold();
      await new Promise((resolve) => setImmediate(resolve));
      out.push(shown(await attempt(() => two.throws())));
      free();
      await holding;
      await locks.close();
      say(out);
    `);
    expect(said).toEqual([
      true,
      'AcquireTimeoutError: could not acquire "busy" in time',
      ['free', 'free', 'free', 'free'],
      'AcquireTimeoutError: could not acquire "busy" in time',
    ]);
  });
});

dear('two versions of one layout', () => {
  it('work together', async () => {
    await builds.changed('cjs', 'newer', 'common/version.js', "'0.1.0'", "'0.1.9'");
    const said = await builds.run(`
      ${BOTH}
      const N = require('./newer/entries/client.js');
      const client = new N.LockClient({ embedded: true });
      say(await client.withLock('k', () => [EC, CC, N].map((copy) => copy.currentLock()?.keys.join())));
      await client.close();
    `);
    expect(said).toEqual(['k', 'k', 'k']);
  });
});

dear('two versions of different layouts', () => {
  beforeAll(async () => {
    await builds.changed('cjs', 'next', 'common/version.js', "'0.1.0'", "'7.8.9'");
    await builds.changed('next', 'next', 'common/shared-state.js', 'LAYOUT = 1', 'LAYOUT = 2');
  });

  const REFUSAL = (one: string, other: string): string =>
    'ConfigError: two versions of nestjs-dflockd that cannot work together are loaded in this process: ' +
    `${one} and ${other}; install only one of them; "npm ls nestjs-dflockd" shows which packages depend on each`;
  const OLD = '0.1.0 (layout 1)';
  const NEW = '7.8.9 (layout 2)';

  it('can be loaded, and refuse each other when one is used', async () => {
    const said = await builds.run(`
      ${BOTH}
      const [N, NC, NT] = ['index', 'client', 'testing'].map((name) => require('./next/entries/' + name + '.js'));
      const start = async (copy) => {
        class App {}
        Module({ imports: [copy.DflockdModule.forRoot({ embedded: true, logger: false })] })(App);
        await NestFactory.createApplicationContext(App, { logger: false, abortOnError: false });
      };
      say(await Promise.all([
        () => new EC.LockClient({ embedded: true }),
        () => new NC.LockClient({ embedded: true }),
        () => EC.currentLock(),
        () => NC.currentLock(),
        () => new NT.TestLocks(),
        () => EC.stats({ port: 1 }),
        () => new NC.DistributedLock({ key: 'k', port: 1 }).acquire(),
        () => start(E),
        () => start(N),
      ].map(async (use) => shown(await attempt(use)))));
    `);
    const before = (refusal: string) => refusal.replace('ConfigError: ', 'ConfigError: DflockdModule: ');
    expect(said).toEqual([
      REFUSAL(OLD, NEW),
      REFUSAL(NEW, OLD),
      REFUSAL(OLD, NEW),
      REFUSAL(NEW, OLD),
      REFUSAL(NEW, OLD),
      REFUSAL(OLD, NEW),
      REFUSAL(NEW, OLD),
      before(REFUSAL(OLD, NEW)),
      before(REFUSAL(NEW, OLD)),
    ]);
  });

  it('never share, when the second comes while the first is at work', async () => {
    const said = await builds.run(`
      ${BOTH}
      const client = new EC.LockClient({ embedded: true });
      const out = await client.withLock('k', async () => {
        const N = require('./next/entries/client.js');
        const S = require('./next/locks/handle/current-lock.js');
        return [
          shown(await attempt(() => N.currentLock())),
          S.lockContext() ?? 'nothing',
          new EC.LockError('') instanceof N.LockError,
          new N.AcquireTimeoutError('k') instanceof EC.AcquireTimeoutError,
        ];
      });
      await client.close();
      say(out);
    `);
    expect(said).toEqual([REFUSAL(NEW, OLD), 'nothing', false, false]);
  });
});

dear('what is shared', () => {
  const STRANGE = {
    'a frozen globalThis': 'Object.freeze(globalThis);',
    'a frozen globalThis and a process that takes nothing':
      'Object.freeze(globalThis); Object.preventExtensions(process);',
    'names taken by something else': `
      for (const name of ['nestjs-dflockd:layouts', 'nestjs-dflockd@1:state']) {
        Object.defineProperty(globalThis, Symbol.for(name), { value: 42 });
      }
    `,
    'names that answer with an error': `
      for (const name of ['nestjs-dflockd:layouts', 'nestjs-dflockd@1:state']) {
        Object.defineProperty(globalThis, Symbol.for(name), { get() { throw new Error('no'); } });
      }
    `,
    'a state that takes nothing': `
      globalThis[Symbol.for('nestjs-dflockd@1:state')] = Object.freeze({});
    `,
  };

  it.each(Object.entries(STRANGE))('does not fail over %s', async (_, strange) => {
    const said = await builds.run<unknown[]>(`
      ${strange}
      const { LockClient, currentLock, AcquireTimeoutError } = await import('./esm/entries/client.js');
      const { AcquireTimeoutError: Other } = require('./cjs/entries/client.js');
      const client = new LockClient({ embedded: true });
      console.log(JSON.stringify([
        await client.withLock('k', () => currentLock().keys),
        new AcquireTimeoutError('k') instanceof Other,
        await client.withLock('k', async () => client.tryAcquire('k')),
      ]));
      await client.close();
    `);
    expect(said).toEqual([['k'], true, null]);
  });
});
