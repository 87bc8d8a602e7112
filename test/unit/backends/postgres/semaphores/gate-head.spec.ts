import { beforeEach, describe, expect, it } from '@jest/globals';
import { Alarms } from '../../../../../lib/common/alarms.js';
import { LockUnavailableError } from '../../../../../lib/common/errors.js';
import type { WaitSession } from '../../../../../lib/backends/postgres/commands/wait-sessions.js';
import { GateHead } from '../../../../../lib/backends/postgres/semaphores/gate-head.js';
import { Semaphores } from '../../../../../lib/backends/postgres/semaphores/semaphores.js';
import { FakeClock } from '../../../../support/fake-clock.js';
import { FakeCommands } from './fake-commands.js';

describe('the head of the queue of a semaphore', () => {
  let clock: FakeClock;
  let commands: FakeCommands;
  let semaphores: Semaphores;
  let listening: Map<string, () => void>;
  let said: unknown[];
  let head: GateHead;
  const channel = (): string => [...listening.keys()][0]!;
  const notify = (): void => listening.get(channel())!();

  beforeEach(() => {
    clock = new FakeClock();
    commands = new FakeCommands();
    const alarms = new Alarms(clock);
    const entropy = { unit: () => 0.5 };
    semaphores = new Semaphores({ commands, entropy, clock, alarms, warn: () => undefined }, () => undefined);
    listening = new Map();
    said = [];
    const wait: Partial<WaitSession> = {
      listen: (name, notified) => void listening.set(name, notified),
      unlisten: (name) => void listening.delete(name),
    };
    head = new GateHead(
      semaphores.get('k', 3),
      wait as WaitSession,
      { clock, alarms, entropy, config: { semPollMs: 100 } },
      {
        granted: ({ slot }) => said.push(slot),
        failed: (error) => said.push(error),
        over: () => said.push('over'),
      },
    );
    head.start();
  });

  it('tries at once, without the gate, and does not listen if a slot is free', () => {
    expect(commands.tries).toMatchObject([{ isHead: true }]);
    expect(listening.size).toBe(0);
    const slot = commands.grant();
    expect(said).toEqual([slot]);
    expect(listening.size).toBe(0);
    clock.advance(1000);
    expect(commands.tries).toEqual([]);
  });

  it('listens after a refusal, and tries again at each notification', () => {
    commands.refuse();
    expect(channel()).toMatch(/^dfl/);
    expect(commands.tries).toEqual([]);
    notify();
    expect(commands.tries).toHaveLength(1);
    commands.refuse();
    notify();
    const slot = commands.grant();
    expect(said).toEqual([slot]);
    expect(listening.size).toBe(0);
  });

  it('tries once more if it is notified while a try is on its way', () => {
    commands.refuse();
    notify();
    notify();
    notify();
    expect(commands.tries).toHaveLength(1);
    commands.refuse();
    expect(commands.tries).toHaveLength(1);
    commands.refuse();
    expect(commands.tries).toEqual([]);
  });

  it('tries from time to time, although no notification comes', () => {
    commands.refuse();
    for (let i = 0; i < 3; i++) {
      clock.advance(74);
      expect(commands.tries).toEqual([]);
      clock.advance(1);
      expect(commands.tries).toHaveLength(1);
      commands.refuse();
    }
    clock.advance(75);
    const slot = commands.grant();
    expect(said).toEqual([slot]);
    expect(clock.pendingTimers === 0 || commands.tries.length === 0).toBe(true);
  });

  it('stops: nothing is tried, listened to or held any more', () => {
    commands.refuse();
    notify();
    const late = listening.get(channel())!;
    head.stop();
    expect([listening.size, said]).toEqual([0, []]);
    const slot = commands.grant();
    expect(commands.freed).toMatchObject([{ slot }]);
    late();
    clock.advance(1000);
    expect([commands.tries, said]).toEqual([[], ['over']]);
    head.stop();
    expect(said).toEqual(['over']);
  });

  it('that stops is over with its last try, or at once', () => {
    commands.refuse();
    head.stop();
    expect(said).toEqual(['over']);
    head.start();
    clock.advance(1000);
    expect([commands.tries, said]).toEqual([[], ['over']]);
  });

  it.each([
    ['refused', (commands_: FakeCommands) => commands_.refuse()],
    ['has failed', (commands_: FakeCommands) => commands_.fail(new LockUnavailableError('cut'))],
  ])('that stopped is over when its last try is %s', (_, happens) => {
    head.stop();
    expect(said).toEqual([]);
    happens(commands);
    expect(said).toEqual(['over']);
  });

  it('fails while its try is overdue, and is over when that is answered', () => {
    const error = new LockUnavailableError('late');
    commands.tries[0]!.overdue(error);
    expect(said).toEqual([error]);
    commands.grant();
    expect(commands.freed).toHaveLength(1);
    expect(said).toEqual([error, 'over']);
  });

  it('fails with its try', () => {
    commands.refuse();
    notify();
    const error = new LockUnavailableError('cut');
    commands.fail(error);
    expect(said).toEqual(['over', error]);
    expect(listening.size).toBe(0);
    clock.advance(1000);
    expect(commands.tries).toEqual([]);
  });

  it('is answered at once while there is no session', () => {
    commands.refuse();
    commands.session = undefined;
    commands.outage = new LockUnavailableError('down');
    notify();
    expect(said).toEqual(['over', commands.outage]);
  });
});
