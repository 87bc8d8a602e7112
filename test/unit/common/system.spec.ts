import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { LoopDelay, systemClock, systemEntropy } from '../../../lib/common/system.js';

describe('the delay of the event loop', () => {
  const delay = new LoopDelay();
  afterEach(() => delay.stop());
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => void systemClock.setTimer(() => resolve(), ms, true));

  it('is watched from the first call on, and tells what was since the last', async () => {
    expect(delay.p99()).toBe(0);
    await pause(20);
    for (const end = systemClock.now() + 100; systemClock.now() < end;);
    await pause(20);
    const seen = delay.p99();
    expect(seen).toBeGreaterThan(70);
    expect(seen).toBeLessThan(10_000);
    // Nothing has been seen since.
    expect(delay.p99()).toBe(0);
    delay.stop();
    expect(delay.p99()).toBe(0);
  });
});

describe('systemClock', () => {
  it('never goes back', () => {
    let last = systemClock.now();
    for (let i = 0; i < 10_000; i++) {
      const now = systemClock.now();
      if (now < last) throw new Error(`${now} after ${last}`);
      last = now;
    }
  });

  it('never runs a timer early, fractions included', async () => {
    for (const delay of [0, 0.2, 1.5, 4.999, 12.001]) {
      const start = systemClock.now();
      await new Promise<void>((resolve) => systemClock.setTimer(resolve, delay, true));
      expect(systemClock.now() - start).toBeGreaterThanOrEqual(delay);
    }
  });

  it('takes delays beyond what a timer of Node can hold', async () => {
    let ran = false;
    const timers = [2 ** 31, 1e15, Infinity].map((delay) => systemClock.setTimer(() => (ran = true), delay));
    await new Promise<void>((resolve) => systemClock.setTimer(resolve, 20, true));
    timers.forEach((timer) => systemClock.clearTimer(timer));
    expect(ran).toBe(false);
  });

  it('forgets a cleared timer', async () => {
    let ran = false;
    systemClock.clearTimer(systemClock.setTimer(() => (ran = true), 1));
    await new Promise<void>((resolve) => systemClock.setTimer(resolve, 10, true));
    expect(ran).toBe(false);
  });

  it('knows the time of day and the age of the machine', () => {
    expect(Math.abs(systemClock.wall() - Date.now())).toBeLessThan(1000);
    expect(systemClock.uptime()).toBeGreaterThan(1000);
  });

  describe('afterPoll', () => {
    const open: { destroy(): void }[] = [];
    afterEach(() => open.splice(0).forEach((one) => one.destroy()));

    /** Two connected sockets of this process. */
    async function pair(): Promise<[Socket, Socket]> {
      const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const near = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true });
      const [[far]] = (await Promise.all([once(server, 'connection'), once(near, 'connect')])) as [[Socket], unknown];
      server.close();
      open.push(near, far);
      return [near, far];
    }

    /** Whether bytes that were on their way before the call have been read when the callback runs. */
    async function readsBefore(call: (sendAndAsk: () => void) => void): Promise<boolean> {
      const [near, far] = await pair();
      let read = false;
      far.on('data', () => (read = true));
      return new Promise<boolean>((resolve) =>
        call(() => {
          near.write('x');
          // On a busy machine, the kernel may deliver it a little later.
          for (const end = systemClock.now() + 20; systemClock.now() < end;);
          systemClock.afterPoll(() => resolve(read));
        }),
      );
    }

    it('runs after what had arrived was read, asked from a timer', async () => {
      expect(await readsBefore((ask) => void setTimeout(ask, 5))).toBe(true);
    });

    it('runs after what had arrived was read, asked from an immediate', async () => {
      expect(await readsBefore((ask) => void setImmediate(ask))).toBe(true);
    });

    it('runs after what had arrived was read, asked from the handler of another socket', async () => {
      const [a, b] = await pair();
      expect(
        await readsBefore((ask) => {
          b.once('data', ask);
          a.write('go');
        }),
      ).toBe(true);
    });
  });
});

describe('systemEntropy', () => {
  it('fills with bytes that differ each time', () => {
    const [a, b] = [Buffer.alloc(16), Buffer.alloc(16)];
    systemEntropy.fill(a);
    systemEntropy.fill(b);
    expect(a.equals(b)).toBe(false);
  });

  it('gives numbers in [0, 1)', () => {
    for (let i = 0; i < 1000; i++) {
      const unit = systemEntropy.unit();
      expect(unit >= 0 && unit < 1).toBe(true);
    }
  });
});
