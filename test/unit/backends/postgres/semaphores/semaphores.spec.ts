import { beforeEach, describe, expect, it } from '@jest/globals';
import { Alarms } from '../../../../../lib/common/alarms.js';
import { ConfigError, LimitMismatchError, LockUnavailableError } from '../../../../../lib/common/errors.js';
import { publishedId } from '../../../../../lib/backends/postgres/ids/published-id.js';
import { slotIdsOf } from '../../../../../lib/backends/postgres/ids/slot-ids.js';
import { Semaphores } from '../../../../../lib/backends/postgres/semaphores/semaphores.js';
import type { SlotTrial } from '../../../../../lib/backends/postgres/semaphores/slot-trial.js';
import type { SlotGrant, SlotUser } from '../../../../../lib/backends/postgres/semaphores/slot-user.js';
import { FakeClock } from '../../../../support/fake-clock.js';
import { FakeCommands } from './fake-commands.js';

describe('the ids of a semaphore', () => {
  it('are the gate, and the slots behind it, also across the end of the integers', () => {
    const { gate, slots, channel } = slotIdsOf('account:7', 3);
    expect(gate).toBe(-1190247639258099404n);
    expect(slots).toEqual([gate + 1n, gate + 2n, gate + 3n]);
    expect(channel).toBe(`dfl${(gate + 2n ** 64n).toString(16)}`);
    expect(slotIdsOf('a', 4).slots.every((slot) => BigInt.asIntN(64, slot) === slot)).toBe(true);
  });

  it('have a channel that is a plain identifier for every key', () => {
    for (let i = 0; i < 300; i++) expect(slotIdsOf(`"${i}`, 1).channel).toMatch(/^dfl[\da-f]{16}$/);
  });
});

describe('the semaphores of a process', () => {
  let clock: FakeClock;
  let commands: FakeCommands;
  let semaphores: Semaphores;
  let unit: number;
  let warnings: string[];

  beforeEach(() => {
    clock = new FakeClock();
    commands = new FakeCommands();
    unit = 0;
    warnings = [];
    semaphores = new Semaphores(
      {
        commands,
        entropy: { unit: () => unit },
        clock,
        alarms: new Alarms(clock),
        warn: (message) => warnings.push(message),
      },
      () => undefined,
    );
  });

  type User = SlotUser & { said: unknown[]; isDropped: boolean };
  const user = (): User => {
    const said: unknown[] = [];
    return {
      said,
      isDropped: false,
      granted: (grant: SlotGrant) => said.push(grant.slot),
      refused: () => said.push('refused'),
      dropped: () => said.push('dropped'),
      overdue: (error) => said.push(`overdue: ${error.message}`),
      failed: (error) => said.push(error),
    };
  };
  const tryOnce = (key = 'k', limit = 3, isHead = false): User & { trial: SlotTrial } => {
    const one = user();
    return Object.assign(one, { trial: semaphores.get(key, limit).try(one, isHead) });
  };

  it('try for all slots, from a random one', () => {
    const { slots, gate } = slotIdsOf('k', 3);
    tryOnce();
    expect(commands.tries[0]).toMatchObject({ gate, isHead: false, candidates: slots });
    commands.refuse();
    unit = 0.99;
    tryOnce();
    expect(commands.tries[0]!.candidates).toEqual([slots[2], slots[0], slots[1]]);
  });

  it('try one after the other: two tries cannot have the same candidates', () => {
    const [a, b, c] = [tryOnce(), tryOnce(), tryOnce()];
    expect(commands.tries).toHaveLength(1);
    const slot = commands.grant();
    expect(commands.tries).toHaveLength(1);
    commands.refuse();
    commands.fail(new LockUnavailableError('cut'));
    expect([a.said, b.said]).toEqual([[slot], ['refused']]);
    expect(c.said).toEqual([expect.any(LockUnavailableError)]);
    expect(commands.tries).toEqual([]);
  });

  it('try for different semaphores at once', () => {
    tryOnce('a');
    tryOnce('b');
    expect(commands.tries).toHaveLength(2);
  });

  it('tell what comes of a try whose caller has gone, and go on', () => {
    const [a, b] = [tryOnce(), tryOnce()];
    a.isDropped = true;
    const slot = commands.grant();
    expect(a.said).toEqual([slot]);
    commands.grant();
    expect(b.said).toHaveLength(1);
  });

  it('release a slot for whoever has it: those at the gate are notified', () => {
    tryOnce();
    const slot = commands.grant();
    const said: unknown[] = [];
    const release = { over: () => said.push('over'), done: (outcome: unknown) => said.push(outcome) };
    semaphores.get('k', 3).free({ session: commands.session!, slot }, release);
    const { gate, channel } = slotIdsOf('k', 3);
    expect(commands.freed).toMatchObject([{ slot, gate, channel }]);
    expect(said).toEqual(['over', 'released']);
  });

  it('do not send a try whose caller has gone', () => {
    const [, b, c] = [tryOnce(), tryOnce(), tryOnce()];
    b.isDropped = true;
    commands.refuse();
    expect(commands.tries).toHaveLength(1);
    commands.refuse();
    expect([b.said, c.said]).toEqual([['dropped'], ['refused']]);
  });

  it('tell all that wait for an answer that is overdue, and try on once it is there', () => {
    const [a, b, c] = [tryOnce(), tryOnce(), tryOnce()];
    c.isDropped = true;
    commands.tries[0]!.overdue(new LockUnavailableError('late'));
    expect([a.said, b.said, c.said]).toEqual([['overdue: late'], ['overdue: late'], []]);
    expect(commands.tries).toHaveLength(1);
    const slot = commands.grant();
    expect([a.said.at(-1), commands.tries.length]).toEqual([slot, 1]);
  });

  it('publish their limit before the first try, once for each session', () => {
    commands.others = undefined;
    const a = tryOnce();
    expect(commands.tries).toEqual([]);
    const { classId, objectId } = publishedId('limit:k', 3);
    expect(commands.published[0]!.values).toEqual([classId, objectId]);
    commands.published.shift()!.answered([[null]]);
    commands.grant();
    expect(a.said).toHaveLength(1);
    tryOnce();
    expect(commands.published).toEqual([]);
    commands.refuse();
    commands.reconnect();
    tryOnce();
    expect(commands.published).toHaveLength(1);
    expect(commands.tries).toEqual([]);
  });

  it('publish their limit again, once, when the session was closed because nobody used it', () => {
    tryOnce();
    commands.refuse();
    const { session } = commands;
    commands.session = undefined;
    commands.limits.length = 0;
    commands.others = undefined;
    const a = tryOnce();
    expect(commands.tries).toEqual([]);
    commands.reconnect();
    commands.limits.push(3);
    commands.published.shift()!.answered([[null]]);
    expect(commands.session).not.toBe(session);
    commands.refuse();
    expect(a.said).toEqual(['refused']);
    tryOnce();
    expect(commands.published).toEqual([]);
    expect(commands.tries).toHaveLength(1);
  });

  it('refuse another limit in this process, while it is used and for a minute after', () => {
    const hold = semaphores.get('k', 3);
    hold.enter();
    expect(() => semaphores.get('k', 2)).toThrow(LimitMismatchError);
    clock.advance(120_000);
    expect(() => semaphores.get('k', 2)).toThrow(LimitMismatchError);
    hold.leave();
    clock.advance(59_000);
    expect(() => semaphores.get('k', 2)).toThrow(LimitMismatchError);
    clock.advance(1500);
    expect(semaphores.get('k', 2).limit).toBe(2);
  });

  it('keep a limit published for a minute after its last use', () => {
    tryOnce();
    commands.refuse();
    clock.advance(40_000);
    tryOnce();
    commands.refuse();
    clock.advance(59_000);
    expect(commands.limits).toEqual([3]);
    clock.advance(1500);
    expect([commands.limits, semaphores.size]).toEqual([[], 0]);
  });

  it('keep a limit published while a slot is held', () => {
    const { trial } = tryOnce();
    semaphores.get('k', 3).enter();
    commands.grant();
    clock.advance(600_000);
    expect(commands.limits).toEqual([3]);
    expect(trial.isOver).toBe(true);
  });

  it('publish no more than a hundred limits that nobody uses', () => {
    for (let i = 0; i < 150; i++) {
      tryOnce(`k${i}`);
      commands.refuse();
    }
    expect([commands.limits.length, semaphores.size]).toEqual([100, 100]);
    expect(semaphores.get('k0', 2).limit).toBe(2);
    expect(() => semaphores.get('k149', 2)).toThrow(LimitMismatchError);
  });

  it('refuse all that try if another process has another limit, and take their own back', () => {
    commands.others = undefined;
    const [a, b] = [tryOnce(), tryOnce()];
    const other = publishedId('limit:k', 5).objectId;
    commands.published.shift()!.answered([[`${other}`]]);
    for (const { said } of [a, b]) {
      expect(said).toEqual([expect.any(LimitMismatchError)]);
      expect(String((said[0] as Error).cause)).toBe('Error: this process asked for 3, others use 5');
    }
    expect(commands.tries).toEqual([]);
    expect([commands.limits, semaphores.size]).toEqual([[], 0]);
    expect(semaphores.get('k', 5).limit).toBe(5);
  });

  it('refuse all that try while another program has the lock that stands for the limit', () => {
    commands.others = '-';
    const { said } = tryOnce();
    expect(said).toEqual([expect.any(LockUnavailableError)]);
    expect(commands.tries).toEqual([]);
    commands.others = null;
    tryOnce();
    expect(commands.tries).toHaveLength(1);
  });

  it('refuse all that try if the session ends while the limit is published', () => {
    commands.others = undefined;
    const [a, b] = [tryOnce(), tryOnce()];
    commands.published.shift()!.ended(new LockUnavailableError('cut'));
    expect(a.said).toEqual([expect.any(LockUnavailableError)]);
    expect(b.said).toEqual([expect.any(LockUnavailableError)]);
  });

  it('are told why there is no session', () => {
    commands.session = undefined;
    commands.outage = new LockUnavailableError('down');
    expect(tryOnce().said).toEqual([commands.outage]);
    expect(commands.limits).toEqual([]);
  });

  it('have at most 1,048,575 slots, and warn of more than a thousand', () => {
    expect(() => semaphores.get('k', 2 ** 20)).toThrow(ConfigError);
    semaphores.get('k', 1000);
    expect(warnings).toEqual([]);
    semaphores.get('many', 1001);
    semaphores.get('many', 1001);
    expect(warnings).toEqual([expect.stringMatching(/^the semaphore "many" has a limit of 1001/)]);
  });
});
