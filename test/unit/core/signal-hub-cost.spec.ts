import { beforeEach, describe, expect, it } from '@jest/globals';
import { Session } from '../../../lib/core/session.js';
import { SignalHub } from '../../../lib/core/signal-hub.js';

/** What the hub keeps of a group, as far as it is replaced here. */
interface Kept {
  exact: { get(pattern: string): Topic | undefined };
  wild: { get(pattern: string): Topic | undefined };
}
interface Topic {
  groups: Map<string, { members: Session[] }>;
}

const MEMBERS = 1000;
const PUBLISHED = 3 * MEMBERS;

/** Work is counted, not timed: each look at a member, and each question about their number, is one. */
describe('what a signal to a queue group costs', () => {
  let hub: SignalHub;
  let looks: number;
  let got: number[];
  let full: Set<number>;

  beforeEach(() => {
    hub = new SignalHub(0);
    looks = 0;
    got = Array<number>(MEMBERS).fill(0);
    full = new Set();
  });

  const join = (pattern: string): void => {
    for (let i = 0; i < MEMBERS; i++) {
      const push = (): boolean => !full.has(i) && ++got[i]! > 0;
      const session = new Session(i + 1, { reply: () => undefined, push, evict: () => undefined }, 'peer');
      hub.listen(session, pattern, 'workers');
    }
  };

  /** However many portions it takes. */
  const publish = (channel: string): number => {
    const delivery = hub.publish(channel, 'x');
    for (;;) {
      hub.allowance = 1_000;
      const { done, value } = delivery.next();
      if (done) return value;
    }
  };

  /** Counts every read of the list of members from now on: copies, loops and searches read it, too. */
  const watch = (pattern: string): void => {
    const { exact, wild } = hub as unknown as Kept;
    const group = (exact.get(pattern) ?? wild.get(pattern))!.groups.get('workers')!;
    const get = (members: Session[], name: string | symbol): unknown => {
      looks++;
      return Reflect.get(members, name);
    };
    group.members = new Proxy(group.members, { get });
  };

  it.each(['job', 'job.*', '>'])('is the same however many its members are: %s', (pattern) => {
    join(pattern);
    watch(pattern);
    const channel = pattern === 'job' ? 'job' : 'job.x';
    for (let i = 0; i < PUBLISHED; i++) expect(publish(channel)).toBe(1);
    expect(new Set(got)).toEqual(new Set([PUBLISHED / MEMBERS]));
    expect(looks).toBeGreaterThanOrEqual(PUBLISHED);
    expect(looks / PUBLISHED).toBeLessThan(10);
  });

  it('grows only with the members that cannot take it', () => {
    join('job');
    watch('job');
    for (let i = 0; i < 10; i++) full.add(i);
    expect(publish('job')).toBe(1);
    expect(got[10]).toBe(1);
    expect(looks).toBeLessThan(100);
  });
});
