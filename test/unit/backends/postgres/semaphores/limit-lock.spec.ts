import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Commands } from '../../../../../lib/backends/postgres/commands/commands.js';
import { publishedId } from '../../../../../lib/backends/postgres/ids/published-id.js';
import { PUBLISH, UNPUBLISH } from '../../../../../lib/backends/postgres/ids/published-statement.js';
import { LimitLock } from '../../../../../lib/backends/postgres/semaphores/limit-lock.js';
import { Semaphores } from '../../../../../lib/backends/postgres/semaphores/semaphores.js';
import type { Session, Statement } from '../../../../../lib/backends/postgres/sessions/session.js';
import { Alarms } from '../../../../../lib/common/alarms.js';
import { LimitMismatchError, type LockError, LockUnavailableError } from '../../../../../lib/common/errors.js';
import { FakeClock } from '../../../../support/fake-clock.js';
import { FakeCommands } from './fake-commands.js';

const newSession = (): Session => ({ server: 'db:5432/app' }) as Session;
const CUT = new LockUnavailableError('cut');

describe('the limit of a semaphore that is published', () => {
  const { classId, objectId } = publishedId('limit:k', 3);
  let sent: Statement[];
  /** When their callers began to wait. */
  let sinces: unknown[];
  let commands: Pick<Commands, 'query'> & { session: Session | undefined; outage: LockError | undefined };
  let limit: LimitLock;
  let told: unknown[];

  beforeEach(() => {
    sent = [];
    told = [];
    sinces = [];
    const query = (statement: Statement, since?: number): void => {
      sent.push(statement);
      sinces.push(since);
    };
    commands = { session: newSession(), outage: undefined, query };
    limit = new LimitLock('k', 3, commands);
  });

  const publish = (): void => limit.publish(900, (error) => told.push(error));
  const answer = (others: string | null): void => sent.at(-1)!.answered([[others]]);
  const objectIdOf = (other: number): number => publishedId('limit:k', other).objectId;
  /** Without the one that publishes. */
  const takenBack = (): unknown[] => sent.slice(1).map(({ text, values }) => [text, values]);
  const ONCE = [[UNPUBLISH.text, [classId, objectId]]];

  it.each([[null], ['']])('is known on the session that has it, if others answer %p', (others) => {
    expect(limit.isPublished).toBe(false);
    publish();
    expect(sent).toMatchObject([{ text: PUBLISH.text, values: [classId, objectId] }]);
    expect([limit.isPublished, told, sinces]).toEqual([false, [], [900]]);
    answer(others);
    expect([limit.isPublished, told]).toEqual([true, [undefined]]);
    commands.session = newSession();
    expect(limit.isPublished).toBe(false);
    commands.session = undefined;
    expect(limit.isPublished).toBe(false);
  });

  it('is not known without a session, unless there is an outage', () => {
    commands.session = undefined;
    expect(limit.isPublished).toBe(false);
    publish();
    answer(null);
    expect(limit.isPublished).toBe(false);
  });

  it('needs no publication during an outage: the try fails', () => {
    commands.session = undefined;
    commands.outage = CUT;
    expect(limit.isPublished).toBe(true);
  });

  it('is taken back if others have other limits, which are named once each', () => {
    publish();
    answer(`${objectIdOf(5)},${objectIdOf(7)},${objectIdOf(5)}`);
    expect(told).toEqual([expect.any(LimitMismatchError)]);
    const { cause, server } = told[0] as LimitMismatchError;
    expect([(cause as Error).message, server]).toEqual(['this process asked for 3, others use 5, 7', 'db:5432/app']);
    expect([limit.isPublished, takenBack()]).toEqual([false, ONCE]);
  });

  it('is not taken back if another program has the lock that stands for it', () => {
    publish();
    answer('-');
    const [error] = told as LockError[];
    expect(error).toBeInstanceOf(LockUnavailableError);
    expect(error!.message).toMatch(/^another program has locked the id/);
    expect(error!.server).toBe('db:5432/app');
    expect([limit.isPublished, takenBack()]).toEqual([false, []]);
  });

  it('is taken back if the statement fails, which may have taken it', () => {
    publish();
    sent[0]!.failed(CUT, '57014');
    expect([told, takenBack(), limit.isPublished]).toEqual([[CUT], ONCE, false]);
  });

  it('ends with the session that was asked: another one takes nothing back', () => {
    publish();
    commands.session = newSession();
    sent[0]!.ended(CUT);
    expect([told, takenBack()]).toEqual([[CUT], []]);
  });

  it('without a session is not taken back either', () => {
    commands.session = undefined;
    publish();
    sent[0]!.ended(CUT);
    expect([told, takenBack()]).toEqual([[CUT], []]);
  });

  it('is withdrawn once, from the session that has it', () => {
    limit.withdraw();
    expect(sent).toEqual([]);
    publish();
    answer(null);
    limit.withdraw();
    expect([limit.isPublished, takenBack()]).toEqual([false, ONCE]);
    limit.withdraw();
    expect(takenBack()).toEqual(ONCE);
  });

  it('is not withdrawn from another session', () => {
    publish();
    answer(null);
    commands.session = newSession();
    limit.withdraw();
    expect(takenBack()).toEqual([]);
  });
});

describe('a semaphore of a process', () => {
  let commands: FakeCommands;
  let semaphores: Semaphores;

  beforeEach(() => {
    commands = new FakeCommands();
    const clock = new FakeClock();
    const entropy = { unit: () => 0 };
    semaphores = new Semaphores(
      { commands, entropy, clock, alarms: new Alarms(clock), warn: () => undefined },
      () => undefined,
    );
  });

  it('refuses a limit that is too large by name of the limit', () => {
    expect(() => semaphores.get('k', 2 ** 20)).toThrow(
      'option limit: expected at most 1048575 on Postgres, got 1048576',
    );
  });
});
