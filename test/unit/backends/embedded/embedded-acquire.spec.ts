import { describe, expect, it } from '@jest/globals';
import type { AcquireRequest } from '../../../../lib/backends/backend.js';
import { EmbeddedAcquire } from '../../../../lib/backends/embedded/embedded-acquire.js';
import type { EmbeddedSession, OnAnswer } from '../../../../lib/backends/embedded/embedded-session.js';
import { Alarms } from '../../../../lib/common/alarms.js';
import type { Answer, Command } from '../../../../lib/core/types.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { transitionTable } from '../../../support/transition-table.js';

const req: AcquireRequest = { key: 'k', kind: 'lock', limit: 1, leaseMs: 1000, deadline: 5000 };
const GRANTED: Answer = { s: 'granted', token: 'token', leaseMs: 1000 };

/** An acquire on a session that answers when a test says so. */
class Subject {
  readonly clock = new FakeClock();
  readonly waits = new Alarms(this.clock, true);
  readonly outcomes: string[] = [];
  readonly commands: string[] = [];
  readonly tested: EmbeddedAcquire;
  private answer!: OnAnswer;

  /** @param direct the answer that the engine gives at once */
  constructor(direct?: Answer) {
    const session = {
      exec: ({ t }: Command, onAnswer: OnAnswer) => {
        this.commands.push(t);
        if (t === 'acquire') this.answer = onAnswer;
        if (t === 'acquire' && direct) onAnswer(direct);
        return 1;
      },
      cancel: () => void this.commands.push('cancel'),
    };
    this.tested = new EmbeddedAcquire(req, session as unknown as EmbeddedSession, this.clock, this.waits, {
      onPlaced: (place) => this.outcomes.push(place),
      granted: () => this.outcomes.push('granted'),
      refused: () => this.outcomes.push('refused'),
    });
  }

  get state(): string {
    return Reflect.get(this.tested, 'state') as string;
  }

  readonly events: Record<string, () => void> = {
    granted: () => this.answer(GRANTED),
    refused: () => this.answer({ s: 'timeout' }),
    cancel: () => this.tested.cancel(),
  };
}

describe('an acquire from the engine of this process that is asking', () => {
  it.each<[string, Answer]>([
    ['granted', GRANTED],
    ['refused', { s: 'timeout' }],
  ])('is over when it is %s at once: it is in no queue, and sets no alarm', (outcome, direct) => {
    const subject = new Subject(direct);
    expect([subject.state, subject.outcomes, subject.waits.size]).toEqual(['over', [outcome], 0]);
  });

  it('is queued when the engine has not answered', () => {
    const subject = new Subject();
    expect([subject.state, subject.outcomes, subject.waits.size]).toEqual(['queued', ['queued'], 1]);
  });
});

describe('every event in every other state of an acquire from the engine of this process', () => {
  const { events, rows } = transitionTable(`
           granted refused cancel
    queued over    over    over
    over   over    over    over`);

  const cases = rows.flatMap(({ state, next }) => events.map((event, at) => [state, event, next[at]!] as const));
  it.each(cases)('%s: %s → %s', (from, event, to) => {
    const subject = new Subject();
    if (from === 'over') subject.events.cancel!();
    expect(subject.state).toBe(from);
    const [outcomes, commands] = [subject.outcomes.length, subject.commands.length];
    subject.events[event]!();
    expect([subject.state, subject.waits.size]).toEqual([to, 0]);
    // Its caller is told once, and what is granted afterwards is released.
    expect(subject.outcomes.slice(outcomes)).toEqual(from === 'over' || event === 'cancel' ? [] : [event]);
    const sent = event === 'cancel' ? ['cancel'] : ['release'];
    const isSent = from === 'over' ? event === 'granted' : event === 'cancel';
    expect(subject.commands.slice(commands)).toEqual(isSent ? sent : []);
  });
});
