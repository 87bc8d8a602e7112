import { beforeEach, describe, expect, it } from '@jest/globals';
import { EngineDriver } from '../../../lib/core/driver.js';
import { Engine } from '../../../lib/core/engine.js';
import { FencedTokens } from '../../../lib/core/tokens.js';
import { type Answer, type Command, DEFAULT_ENGINE_OPTIONS, type SessionSink } from '../../../lib/core/types.js';
import { FakeClock, FakeEntropy } from '../../support/fake-clock.js';

const START = 7_300;

/** Notices a driver that sets its timer for now again and again. */
class FiniteClock extends FakeClock {
  private set = 0;

  override setTimer(...args: Parameters<FakeClock['setTimer']>): ReturnType<FakeClock['setTimer']> {
    if (++this.set > 1_000) throw new Error('a thousand timers');
    return super.setTimer(...args);
  }
}

/** A host as the daemon's are: it uses the engine, then touches the driver. */
class Host {
  readonly answers: Answer[] = [];
  readonly resumed: number[] = [];
  onAnswer: () => void = () => undefined;
  onResume: () => void = () => undefined;
  private readonly sink: SessionSink = {
    reply: (_op, answer) => {
      this.answers.push(answer);
      this.onAnswer();
    },
    push: () => true,
    evict: () => undefined,
  };
  private readonly session;
  private op = 0;

  constructor(readonly driver: EngineDriver) {
    this.session = driver.engine.open(this.sink, 'host');
  }

  /** Executes without a word to the driver. */
  exec(cmd: Command): Answer | undefined {
    const before = this.answers.length;
    this.driver.engine.exec(this.session, ++this.op, cmd, this.driver.clock.now());
    return this.answers[before];
  }

  ask(cmd: Command): Answer | undefined {
    const answer = this.exec(cmd);
    this.driver.touch();
    return answer;
  }

  /** Its connection is closed. */
  leave(): void {
    this.driver.engine.close(this.session, this.driver.clock.now(), true);
    this.driver.touch();
  }

  resume(now: number): void {
    this.resumed.push(now);
    this.onResume();
  }
}

const acquire = (key: string, leaseMs = 0, waitMs = 0): Command => ({
  t: 'acquire',
  kind: 'lock',
  key,
  limit: 1,
  waitMs,
  leaseMs,
});

describe('EngineDriver', () => {
  let clock: FakeClock;
  let driver: EngineDriver;
  let host: Host;

  beforeEach(() => {
    clock = new FiniteClock({ now: START });
    driver = new EngineDriver(
      new Engine(DEFAULT_ENGINE_OPTIONS, new FencedTokens(new FakeEntropy(), 0n), START),
      clock,
    );
    host = new Host(driver);
  });

  const held = (key: string): boolean => driver.engine.isHeld('lock', key);
  const tokenOf = (answer: Answer | undefined): string => (answer as { token: string }).token;

  it('has no timer while there is nothing to come', () => {
    driver.touch();
    expect(clock.pendingTimers).toBe(0);
  });

  it('ends leases and waits in time, with one timer', () => {
    host.ask(acquire('a', 1_500));
    host.ask(acquire('b', 2_500));
    const other = new Host(driver);
    other.ask(acquire('b', 0, 700));
    expect(clock.pendingTimers).toBe(1);
    clock.advance(699);
    expect(other.answers).toEqual([]);
    clock.advance(1);
    expect(other.answers).toEqual([{ s: 'timeout' }]);
    clock.advance(1_299);
    expect(held('a')).toBe(true);
    clock.advance(1);
    expect([held('a'), held('b')]).toEqual([false, true]);
    clock.advance(1_000);
    expect(held('b')).toBe(false);
    expect(clock.pendingTimers).toBe(1);
    clock.advance(70_000);
    expect(clock.pendingTimers).toBe(0);
  });

  it('moves its timer only to an earlier time', () => {
    let set = 0;
    const { setTimer } = FakeClock.prototype;
    clock.setTimer = (...args) => (set++, setTimer.apply(clock, args));
    const token = tokenOf(host.ask(acquire('a', 5_000)));
    for (let i = 0; i < 50; i++) {
      host.ask({ t: 'renew', kind: 'lock', key: 'a', token, leaseMs: 6_000 + i });
      host.ask(acquire(`b${i}`, 60_000));
    }
    expect(set).toBe(1);
    host.ask(acquire('c', 1_000));
    expect([set, clock.pendingTimers, clock.nextDue]).toEqual([2, 1, START + 1_000]);
  });

  it('judges after the host has polled once more: a renewal that waits in a buffer is in time', () => {
    const token = tokenOf(host.ask(acquire('a', 1_000)));
    clock.stall(3_000);
    // What is in a buffer is read in the poll phase that follows the timers.
    clock.afterPoll(() => host.ask({ t: 'renew', kind: 'lock', key: 'a', token, leaseMs: 1_000 }));
    const other = new Host(driver);
    other.exec(acquire('a'));
    expect(other.answers).toEqual([{ s: 'timeout' }]);
    clock.advance(0);
    expect(held('a')).toBe(true);
    clock.advance(999);
    expect(held('a')).toBe(true);
    clock.advance(1);
    expect(held('a')).toBe(false);
  });

  it('judges by the time at which its timer fired, not by that of the judgement', () => {
    // The poll phase between the two takes 10 ms.
    clock.setTimer(() => clock.afterPoll(() => clock.stall(10)), 1_000);
    const a = tokenOf(host.ask(acquire('a', 1_000)));
    const b = tokenOf(host.ask(acquire('b', 1_005)));
    clock.advance(1_000);
    expect(clock.now()).toBe(START + 1_010);
    expect(host.ask({ t: 'renew', kind: 'lock', key: 'b', token: b, leaseMs: 0 })).toMatchObject({ s: 'renewed' });
    expect(host.ask({ t: 'renew', kind: 'lock', key: 'a', token: a, leaseMs: 0 })).toEqual({ s: 'error' });
  });

  it('sets no other timer between the one that fired and the judgement', () => {
    host.ask(acquire('a', 1_000));
    const armed: number[] = [];
    clock.setTimer(() => {
      host.ask(acquire('b', 500));
      armed.push(clock.pendingTimers);
    }, 1_000);
    clock.advance(1_000);
    expect(armed).toEqual([0]);
    expect(clock.nextDue).toBe(START + 1_500);
  });

  it('waits for what is further away than a timer of Node can be', () => {
    const far = 3 * 2 ** 31;
    host.ask(acquire('a', far));
    expect(clock.nextDue - START).toBe(2 ** 31 - 1);
    clock.advance(far - 1_000);
    expect(held('a')).toBe(true);
    clock.advance(2_000);
    expect(held('a')).toBe(false);
  });

  it('asks nothing of the clock after its close', () => {
    host.ask(acquire('a', 1_000));
    driver.close();
    expect(clock.pendingTimers).toBe(0);
    host.ask(acquire('b', 500));
    expect(clock.pendingTimers).toBe(0);
    clock.advance(5_000);
    expect(held('a')).toBe(true);
  });

  it('judges nothing when it is closed between the timer and the poll', () => {
    host.ask(acquire('a', 1_000));
    clock.setTimer(() => driver.close(), 1_000);
    clock.advance(5_000);
    expect(held('a')).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  describe('backlogs: what hosts have read and execute later', () => {
    /** What a host says when it is told to. */
    function backlog() {
      const open: (() => void)[] = [];
      const one = { whenHeard: (heard: () => void) => void open.push(heard) };
      driver.addBacklog(one);
      return { one, isHeard: () => open.splice(0).forEach((heard) => heard()) };
    }

    it('are executed before leases and waits end', () => {
      const [first, second] = [backlog(), backlog()];
      const token = tokenOf(host.ask(acquire('a', 1_000)));
      host.ask(acquire('b', 1_000));
      const other = new Host(driver);
      other.ask(acquire('b', 0, 1_000));
      clock.advance(3_000);
      first.isHeard();
      expect([held('a'), other.answers]).toEqual([true, []]);
      host.ask({ t: 'renew', kind: 'lock', key: 'a', token, leaseMs: 5_000 });
      second.isHeard();
      expect(held('a')).toBe(true);
      expect(other.answers).toMatchObject([{ s: 'granted' }]);
      expect(clock.nextDue).toBeGreaterThan(START + 3_000);
    });

    it('do not hold up what ends later than they were asked for, nor are they waited for twice', () => {
      const { isHeard } = backlog();
      host.ask(acquire('a', 1_000));
      host.ask(acquire('b', 2_000));
      clock.advance(1_000);
      clock.advance(1_500);
      isHeard();
      expect([held('a'), held('b')]).toEqual([false, true]);
      // The judgement has set a timer for the next lease.
      clock.advance(0);
      isHeard();
      expect(held('b')).toBe(false);
      expect(clock.pendingTimers).toBe(1);
    });

    it('that are removed are not waited for', () => {
      const { one } = backlog();
      driver.removeBacklog(one);
      host.ask(acquire('a', 1_000));
      clock.advance(1_000);
      expect(held('a')).toBe(false);
    });

    it('do not hold up the rest of what a session had, which is freed in portions', async () => {
      const MANY = 1_500;
      const options = { ...DEFAULT_ENGINE_OPTIONS, maxLocks: 2 * MANY };
      driver = new EngineDriver(new Engine(options, new FencedTokens(new FakeEntropy(), 0n), START), clock);
      const { isHeard } = backlog();
      host = new Host(driver);
      for (let i = 0; i < MANY; i++) host.ask(acquire(`k${i}`));
      const other = new Host(driver);
      other.ask(acquire('a', 1_000));
      clock.advance(1_000);
      // While the end of a lease waits for the backlog.
      host.leave();
      const left = (): number => Array.from({ length: MANY }, (_, i) => held(`k${i}`)).filter(Boolean).length;
      expect(left()).toBeGreaterThan(0);
      clock.advance(0);
      for (let turns = 0; turns < 4; turns++) await new Promise((resolve) => setImmediate(resolve));
      expect([left(), held('a')]).toEqual([0, true]);
      isHeard();
      expect(held('a')).toBe(false);
    });
  });

  describe('woken sessions', () => {
    it('are resumed by the touch of whoever woke them, not before', () => {
      const other = new Host(driver);
      const token = tokenOf(host.ask(acquire('a')));
      other.ask(acquire('a', 0, 60_000));
      other.onAnswer = () => driver.wake(other);
      clock.advance(10);
      host.exec({ t: 'release', kind: 'lock', key: 'a', token });
      expect(other.answers).toHaveLength(1);
      expect(other.resumed).toEqual([]);
      driver.touch();
      expect(other.resumed).toEqual([START + 10]);
      driver.touch();
      expect(other.resumed).toHaveLength(1);
    });

    it('are resumed after the timer too', () => {
      const other = new Host(driver);
      host.ask(acquire('a', 500));
      other.ask(acquire('a', 0, 60_000));
      other.onAnswer = () => driver.wake(other);
      clock.advance(1_000);
      expect(other.resumed).toEqual([START + 1_000]);
    });

    it('may use the engine and wake others, who are resumed in the same touch', () => {
      const [second, third] = [new Host(driver), new Host(driver)];
      const token = tokenOf(host.ask(acquire('a')));
      second.ask(acquire('a', 0, 60_000));
      third.ask(acquire('a', 0, 60_000));
      second.onAnswer = () => driver.wake(second);
      third.onAnswer = () => driver.wake(third);
      second.onResume = () => {
        second.onAnswer = () => undefined;
        const [granted] = second.answers;
        second.ask({ t: 'release', kind: 'lock', key: 'a', token: tokenOf(granted) });
        // Not inside another's turn.
        expect(third.resumed).toEqual([]);
      };
      host.ask({ t: 'release', kind: 'lock', key: 'a', token });
      expect([second.resumed.length, third.resumed.length]).toEqual([1, 1]);
    });

    it('are not resumed inside of the turn of another, whoever asks for it', () => {
      const third = new Host(driver);
      const order: string[] = [];
      host.onResume = () => {
        driver.wake(third);
        driver.resumeWoken();
        driver.touch();
        order.push('first');
      };
      third.onResume = () => order.push('second');
      driver.wake(host);
      driver.resumeWoken();
      expect(order).toEqual(['first', 'second']);
      driver.resumeWoken();
      expect(order).toEqual(['first', 'second']);
      driver.wake(third);
      driver.touch();
      expect(order).toEqual(['first', 'second', 'second']);
    });

    it('have what they asked for seen by the timer', () => {
      const other = new Host(driver);
      other.onResume = () => other.ask(acquire('b', 300));
      driver.wake(other);
      driver.touch();
      expect(clock.nextDue).toBe(START + 300);
    });

    it('are resumed also after the close', () => {
      driver.close();
      driver.wake(host);
      driver.touch();
      expect(host.resumed).toHaveLength(1);
    });
  });

  describe('what is left over', () => {
    const MANY = 1_500;
    const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const left = (): number => Array.from({ length: MANY }, (_, i) => held(`k${i}`)).filter(Boolean).length;

    beforeEach(() => {
      const options = { ...DEFAULT_ENGINE_OPTIONS, maxLocks: 2 * MANY };
      driver = new EngineDriver(new Engine(options, new FencedTokens(new FakeEntropy(), 0n), START), clock);
      host = new Host(driver);
      for (let i = 0; i < MANY; i++) host.ask(acquire(`k${i}`, 1_000));
    });

    it('is taken up at the end of each turn, and others are served in between', async () => {
      clock.advance(1_000);
      expect(left()).toBe(MANY - 512);
      expect(host.ask(acquire('another', 9_000))).toMatchObject({ s: 'granted' });
      await nextTurn();
      expect(left()).toBe(MANY - 2 * 512);
      await nextTurn();
      expect(left()).toBe(0);
      expect([clock.pendingTimers, clock.nextDue]).toEqual([1, START + 10_000]);
    });

    it('wakes whom it answers at the end of the same turn', async () => {
      for (let i = 0; i < MANY; i++) {
        const waiting = new Host(driver);
        waiting.ask(acquire(`k${i}`, 0, 60_000));
        waiting.onAnswer = () => driver.wake(waiting);
        waiting.onResume = () => host.resumed.push(i);
      }
      for (const expected of [512, 2 * 512, MANY]) {
        if (expected === 512) clock.advance(1_000);
        else await nextTurn();
        expect(host.resumed).toHaveLength(expected);
      }
    });

    it('stays when the driver is closed', async () => {
      clock.advance(1_000);
      driver.close();
      for (let turns = 0; turns < 3; turns++) await nextTurn();
      expect(left()).toBe(MANY - 512);
      expect(clock.pendingTimers).toBe(0);
    });
  });
});
