import { describe, expect, it } from '@jest/globals';
import { FakeClock } from '../../support/fake-clock.js';
import type { Wire } from '../../support/wire.js';
import { GRANT, PING, acquire, release, tokenOf, turns, useDaemons } from './harness.js';

describe('the read timeout (spec 1.5)', () => {
  const start = useDaemons();

  async function pairOf(readTimeout: number): Promise<[FakeClock, () => Wire]> {
    const clock = new FakeClock({ now: 1000 });
    const daemon = await start({ readTimeout }, { clock });
    return [clock, () => daemon.pair()];
  }

  async function pass(clock: FakeClock, ms: number): Promise<void> {
    await turns();
    clock.advance(ms);
    await turns();
  }

  it('ends a connection that says nothing with error and FIN', async () => {
    const [clock, open] = await pairOf(23);
    const wire = open();
    await pass(clock, 22_999);
    expect([wire.received, wire.closed]).toEqual(['', false]);
    await pass(clock, 2);
    expect([wire.received, wire.closed]).toEqual(['error\n', true]);
  });

  it('gives each line a period of its own', async () => {
    const [clock, open] = await pairOf(10);
    const wire = open();
    for (const line of ['l\n', 'k\n', '0\n']) {
      await pass(clock, 9_900);
      wire.send(line);
    }
    expect(await wire.read()).toMatch(/^ok /);
    await pass(clock, 9_900);
    expect(await wire.ask(PING)).toBe('ok');
  });

  it('is not put off by bytes inside a line', async () => {
    const [clock, open] = await pairOf(10);
    const wire = open();
    for (let i = 0; i < 9; i++) {
      wire.send('x');
      await pass(clock, 1_100);
    }
    expect(wire.closed).toBe(false);
    wire.send('x');
    await pass(clock, 110);
    expect([wire.received, wire.closed]).toEqual(['error\n', true]);
  });

  it('does not run while a command waits, and starts anew with its reply', async () => {
    const [clock, open] = await pairOf(10);
    const [holder, waiter] = [open(), open()];
    const token = tokenOf(await holder.ask(acquire('k')));
    waiter.send(acquire('k', 3600));
    for (let i = 0; i < 5; i++) {
      await pass(clock, 9_000);
      expect(await holder.ask(`n\nk\n${token} 60\n`)).toBe('ok 60');
    }
    expect([waiter.received, waiter.closed]).toEqual(['', false]);
    expect(await holder.ask(release('k', token))).toBe('ok');
    expect((await waiter.read()).trim()).toMatch(GRANT);
    await pass(clock, 9_900);
    expect(waiter.closed).toBe(false);
    await pass(clock, 200);
    expect([waiter.unread, waiter.closed]).toEqual(['error\n', true]);
  });

  it('costs a silent holder its locks, whatever the lease', async () => {
    const [clock, open] = await pairOf(10);
    const holder = open();
    expect(await holder.ask('l\nk\n0 3600\n')).toMatch(GRANT);
    await pass(clock, 5_000);
    const waiter = open();
    waiter.send(acquire('k', 30));
    await pass(clock, 5_001);
    expect(holder.closed).toBe(true);
    expect((await waiter.read()).trim()).toMatch(GRANT);
  });

  it('ends an over-long line that does not end', async () => {
    const [clock, open] = await pairOf(10);
    const wire = open();
    wire.send('x'.repeat(5_000));
    await pass(clock, 9_900);
    wire.send('x'.repeat(5_000));
    await pass(clock, 200);
    expect([wire.received, wire.closed]).toEqual(['error\n', true]);
  });

  it('spares a peer whose bytes came in time to a process that stalled', async () => {
    const daemon = await start({ readTimeout: 0.3 });
    const wire = await daemon.open();
    expect(await wire.ask(PING)).toBe('ok');
    wire.send(PING);
    for (const end = performance.now() + 400; performance.now() < end;);
    expect(await wire.read()).toBe('ok\n');
    expect(await wire.ask(PING)).toBe('ok');
  });
});

describe('waits and leases on the clock', () => {
  const start = useDaemons();

  it('time out to the millisecond', async () => {
    const clock = new FakeClock();
    const daemon = await start({}, { clock });
    const [holder, waiter] = [daemon.pair(), daemon.pair()];
    expect(await holder.ask(acquire('k'))).toMatch(GRANT);
    waiter.send(acquire('k', 5));
    await turns();
    clock.advance(4_999);
    await turns();
    expect(waiter.received).toBe('');
    clock.advance(1);
    expect(await waiter.read()).toBe('timeout\n');
  });

  it('wait for 292 years if they are asked to', async () => {
    const clock = new FakeClock();
    const daemon = await start({ readTimeout: 9e9 }, { clock });
    const [holder, waiter] = [daemon.pair(), daemon.pair()];
    expect(await holder.ask('l\nk\n0 9223372036\n')).toMatch(/^ok [0-9a-f]{32} 9223372036$/);
    waiter.send(acquire('k', 9_223_372_036));
    await turns();
    clock.stall(100 * 365.25 * 86_400_000);
    clock.advance(0);
    await turns();
    expect([waiter.received, waiter.closed]).toEqual(['', false]);
    expect(await holder.ask(PING)).toBe('ok');
  });
});
