import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LinkEvent } from '../../../lib/backends/backend.js';
import { EmbeddedBackend } from '../../../lib/backends/embedded/embedded.js';
import { systemClock, systemEntropy } from '../../../lib/common/system.js';
import type { EngineDriver } from '../../../lib/core/driver.js';
import { type DaemonLogger, silent } from '../../../lib/daemon/shared/logger.js';
import { resolveServerOptions } from '../../../lib/daemon/shared/options.js';
import { createEngine } from '../../../lib/daemon/shared/create-engine.js';
import { TcpSession } from '../../../lib/daemon/tcp/tcp-session.js';
import { resolveEmbedded } from '../../../lib/backends/embedded/options.js';
import { FakeClock } from '../../support/fake-clock.js';
import { until } from '../../support/until.js';
import { Wire } from '../../support/wire.js';
import { GRANT, PING, STATS, acquire, turns, useDaemons } from './harness.js';

/** What throws inside a session ends that session, and nothing else: a fault of ours must not be a switch of others. */
describe('an error inside a session', () => {
  const start = useDaemons();
  const uncaught: unknown[] = [];
  const note = (error: unknown): void => void uncaught.push(error);
  let logged: string[];
  const logger: DaemonLogger = (level, message, attributes) => {
    if (level === 'error') logged.push(`${message}: ${String(attributes?.['err']).split('\n')[0]}`);
  };

  beforeEach(() => {
    logged = [];
    uncaught.length = 0;
    process.on('uncaughtException', note);
  });
  afterEach(() => {
    process.off('uncaughtException', note);
    expect(uncaught).toEqual([]);
  });

  const boom = (): never => {
    throw new RangeError('Invalid string length');
  };

  async function daemonWith(sabotage: (driver: EngineDriver) => void, options = {}, clock = systemClock) {
    const driver = createEngine(resolveServerOptions({ maxLocks: 100_000 }), clock, systemEntropy, silent);
    sabotage(driver);
    return start(options, { driver, logger });
  }

  const FAILED = 'a connection failed and was closed: RangeError: Invalid string length';

  it('that executes a request closes its connection, and frees its locks', async () => {
    const daemon = await daemonWith(({ engine }) => {
      const exec = engine.exec.bind(engine);
      engine.exec = (session, op, cmd, now) =>
        'key' in cmd && cmd.key === 'boom' ? boom() : exec(session, op, cmd, now);
    });
    const [bad, good] = [await daemon.open(), await daemon.open()];
    expect(await bad.ask(acquire('k'))).toMatch(GRANT);
    good.send(acquire('k', 5));
    bad.send(acquire('boom'));
    await bad.whenClosed();
    expect((await good.read()).trimEnd()).toMatch(GRANT);
    expect(logged).toEqual([FAILED]);
  });

  it('that makes stats is answered with error, and the next asker has its answer', async () => {
    let bad = true;
    const daemon = await daemonWith(({ engine }) => {
      const walk = engine.statsWalk.bind(engine);
      engine.statsWalk = (take) => (bad ? boom() : walk(take));
    });
    const wire = daemon.pair();
    wire.send(Array.from({ length: 1000 }, (_, i) => acquire(`k${i}`)).join(''));
    await wire.read(1000);
    expect(await wire.ask(STATS)).toBe('error');
    bad = false;
    expect(await wire.ask(STATS)).toMatch(/^ok \{"connections":1,/);
    expect(logged).toEqual(['stats failed: RangeError: Invalid string length']);
  });

  it.each(['onTurnEnd', 'onSlice', 'onWake', 'onText', 'onEnd', 'onDrain'] as const)(
    'in %s ends one of them',
    async (method) => {
      const daemon = await daemonWith(() => undefined);
      const prototype = TcpSession.prototype as unknown as Record<
        string,
        (this: TcpSession, ...args: unknown[]) => void
      >;
      const original = prototype[method]!;
      const good = [daemon.pair('good'), daemon.pair('good')];
      const bad = daemon.pair('bad');
      prototype[method] = function (...args) {
        if (this.peer === 'bad') boom();
        original.apply(this, args);
      };
      try {
        for (const wire of [...good, bad]) wire.send(PING);
        for (const wire of good) await wire.read();
        for (const wire of [...good, bad]) wire.send(Array.from({ length: 500 }, (_, i) => acquire(`${i}`)).join(''));
        for (const wire of good) await wire.read(500);
        expect(await good[0]!.ask('listen\na\n\n')).toBe('ok');
        // Talks at the end of the turn, is woken, executes in slices, waits for a long text, drains, and ends.
        bad.send(`listen\na\n\n${PING.repeat(20_000)}${STATS}`);
        expect(await good[1]!.ask('signal\na\nx\n')).toMatch(/^ok [12]$/);
        for (const wire of good) expect(await wire.ask(PING)).toMatch(/^(sig a x|ok)$/);
        await turns(20);
        bad.end();
        await bad.whenClosed();
        await until(() => daemon.server.connections === 2);
        expect(await good[1]!.ask(STATS)).toMatch(/^ok /);
        expect(new Set(logged)).toEqual(new Set([FAILED]));
      } finally {
        prototype[method] = original;
      }
    },
  );

  it('in a deadline, in the writing, or in the end of a connection ends that one', async () => {
    const clock = new FakeClock({ now: 1000 });
    let closeFails = false;
    const daemon = await daemonWith(
      ({ engine }) => {
        const close = engine.close.bind(engine);
        engine.close = (...args) => {
          close(...args);
          if (closeFails) boom();
        };
      },
      { readTimeout: 10 },
      clock,
    );
    const [silentOne, other] = [daemon.pair(), daemon.pair()];
    await turns();
    closeFails = true;
    clock.advance(9_000);
    expect(await other.ask(PING)).toBe('ok');
    clock.advance(1_001);
    await silentOne.whenClosed();
    expect(await other.ask(PING)).toBe('ok');
    const gone = daemon.pair();
    await turns();
    gone.reset();
    await until(() => daemon.server.connections === 1);
    closeFails = false;
    expect(await other.ask(PING)).toBe('ok');
    expect(logged).toContain(FAILED);
  });

  it('of a client of this process, which listens, is told by an event, and ends nothing else', async () => {
    const backend = new EmbeddedBackend(resolveEmbedded({ listen: '127.0.0.1:0' }), systemClock, systemEntropy);
    const told: LinkEvent[] = [];
    const stop = backend.onLink((event) => told.push(event));
    const prototype = TcpSession.prototype as unknown as { onTurnEnd: () => void };
    const original = prototype.onTurnEnd;
    prototype.onTurnEnd = boom;
    try {
      await backend.start();
      const wire = await Wire.tcp(backend.address!);
      wire.send(PING);
      await wire.whenClosed();
      await until(() => told.length > 0);
      const detail = 'a connection failed and was closed: RangeError: Invalid string length';
      expect(told).toEqual([{ server: 'embedded', state: 'degraded', detail }]);
      prototype.onTurnEnd = original;
      const other = await Wire.tcp(backend.address!);
      expect(await other.ask(PING)).toBe('ok');
      stop();
    } finally {
      prototype.onTurnEnd = original;
      await backend.close(0);
    }
    expect(told).toHaveLength(1);
  });
});
