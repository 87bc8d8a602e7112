import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Session } from '../../../lib/core/session.js';
import { SignalHub } from '../../../lib/core/signal-hub.js';
import { EngineHarness, type Peer } from '../../support/engine-harness.js';

/** Spec 6. */
describe('signals', () => {
  const count = (n: number): object => ({ s: 'delivered', count: n });

  it('go to who listens at that moment, and are counted', () => {
    const h = new EngineHarness();
    const [a, b, c] = [h.peer(), h.peer(), h.peer()];
    expect(c.signal('news', '1')).toEqual(count(0));
    a.listen('news');
    b.listen('news');
    expect(c.signal('news', '2')).toEqual(count(2));
    a.unlisten('news');
    expect(c.signal('news', '3')).toEqual(count(1));
    expect(c.signal('other', '4')).toEqual(count(0));
    expect([a.pushed, b.pushed, c.pushed]).toEqual([['news 2'], ['news 2', 'news 3'], []]);
  });

  it('leave nothing behind of who has listened', () => {
    const hub = new SignalHub(0);
    const session = new Session(1, { reply: () => undefined, push: () => true, evict: () => undefined }, 'peer');
    const sizeOf = (part: unknown): number => Number(Reflect.get(Object(part), 'size') ?? 0);
    const kept = (): number => Object.values(hub).reduce((sum: number, part: unknown) => sum + sizeOf(part), hub.size);
    for (const pattern of ['x', '*']) {
      for (const group of ['', 'g']) {
        hub.listen(session, pattern, group);
        hub.unlisten(session, pattern, group);
        expect(kept()).toBe(0);
        hub.listen(session, pattern, group);
        expect(hub.drop(session, 10)).toBe(1);
        expect(kept()).toBe(0);
      }
    }
  });

  it('come back to a publisher that listens, in the order of publishing', () => {
    const a = new EngineHarness().peer();
    a.listen('x');
    for (const payload of ['1', '2', '3']) expect(a.signal('x', payload)).toEqual(count(1));
    expect(a.pushed).toEqual(['x 1', 'x 2', 'x 3']);
  });

  it('match patterns (6.1)', () => {
    const h = new EngineHarness();
    const listening = ['a.>', '>', '*', 'a.*', '*.>', 'a.*.c', 'a.b', 'A.b'].map((pattern) => {
      const peer = h.peer();
      peer.listen(pattern);
      return [pattern, peer] as const;
    });
    const heard = (channel: string): string[] => {
      h.peer().signal(channel);
      return listening.filter(([, peer]) => peer.pushed.splice(0).length > 0).map(([pattern]) => pattern);
    };
    expect(heard('a.b')).toEqual(['a.>', '>', 'a.*', '*.>', 'a.b']);
    expect(heard('a')).toEqual(['>', '*']);
    expect(heard('a.')).toEqual(['a.>', '>', 'a.*', '*.>']);
    expect(heard('a.b.c')).toEqual(['a.>', '>', '*.>', 'a.*.c']);
    expect(heard('b')).toEqual(['>', '*']);
  });

  it('come once to a session without group, however many of its patterns match', () => {
    const h = new EngineHarness();
    const a = h.peer();
    for (const pattern of ['a.b', 'a.*', '*.b', '>']) a.listen(pattern);
    expect(h.peer().signal('a.b')).toEqual(count(1));
    expect(a.pushed).toEqual(['a.b x']);
  });

  it('come once for each group and once without, to a session that is in all', () => {
    const h = new EngineHarness();
    const a = h.peer();
    a.listen('a.b');
    for (const pattern of ['a.b', 'a.*']) for (const group of ['g', 'h']) a.listen(pattern, group);
    expect(h.peer().signal('a.b')).toEqual(count(5));
    expect(a.pushed).toHaveLength(5);
  });

  it('are delivered without group first, then to groups; exact patterns before wildcards (6.3)', () => {
    const h = new EngineHarness();
    const order: string[] = [];
    for (const [pattern, group] of [
      ['>', 'g'],
      ['>', ''],
      ['x', 'g'],
      ['x', ''],
    ] as const) {
      const peer = h.peer();
      peer.push = () => order.push(`${pattern} ${group}`) > 0;
      peer.listen(pattern, group);
    }
    h.peer().signal('x');
    expect(order).toEqual(['x ', 'x g', '> ', '> g']);
  });

  it('listening twice is listening once (6.2)', () => {
    const h = new EngineHarness();
    const a = h.peer();
    for (const group of ['', 'g']) {
      expect(a.listen('x', group)).toEqual({ s: 'ok' });
      expect(a.listen('x', group)).toEqual({ s: 'ok' });
    }
    expect(h.peer().signal('x')).toEqual(count(2));
    a.unlisten('x');
    a.unlisten('x', 'g');
    expect(h.peer().signal('x')).toEqual(count(0));
    expect(h.stats().signal_channels).toEqual([]);
  });

  it('unlisten takes pattern and group exactly, and is ok for what is unknown', () => {
    const h = new EngineHarness();
    const a = h.peer();
    a.listen('x', 'g');
    a.listen('*', 'g');
    for (const [pattern, group] of [
      ['x', ''],
      ['x', 'h'],
      ['>', 'g'],
      ['y', 'g'],
    ] as const) {
      expect(a.unlisten(pattern, group)).toEqual({ s: 'ok' });
      expect(h.peer().unlisten('x', 'g')).toEqual({ s: 'ok' });
    }
    expect(h.peer().signal('x')).toEqual(count(2));
  });

  describe('max-subscriptions', () => {
    it('counts distinct subscriptions of a session', () => {
      const h = new EngineHarness({ maxSubscriptions: 2 });
      const a = h.peer();
      expect(a.listen('x')).toEqual({ s: 'ok' });
      expect(a.listen('x', 'g')).toEqual({ s: 'ok' });
      expect(a.listen('y')).toEqual({ s: 'error' });
      expect(a.listen('x')).toEqual({ s: 'ok' });
      expect(h.peer().listen('y')).toEqual({ s: 'ok' });
      a.unlisten('x');
      expect(a.listen('y')).toEqual({ s: 'ok' });
      expect(a.listen('x')).toEqual({ s: 'error' });
    });

    it('of a refused listen leaves nothing behind', () => {
      const h = new EngineHarness({ maxSubscriptions: 1 });
      const a = h.peer();
      a.listen('x');
      a.listen('y', 'g');
      expect(h.peer().signal('y')).toEqual(count(0));
      expect(h.stats().signal_channels).toEqual([{ pattern: 'x', listeners: 1 }]);
    });

    it('of 0 is 10,000: one client cannot fill the memory with patterns', () => {
      const a = new EngineHarness({ maxSubscriptions: 0 }).peer();
      for (let i = 0; i < 10_000; i++) expect(a.listen(`c${i}`, i % 2 ? 'g' : '').s).toBe('ok');
      expect(a.listen('c0')).toEqual({ s: 'ok' });
      expect(a.listen('one more')).toEqual({ s: 'error' });
      a.unlisten('c0');
      expect(a.listen('one more')).toEqual({ s: 'ok' });
    });

    it('may be more, where that is said', () => {
      const a = new EngineHarness({ maxSubscriptions: 10_002 }).peer();
      for (let i = 0; i < 10_002; i++) expect(a.listen(`c${i}`).s).toBe('ok');
      expect(a.listen('one more')).toEqual({ s: 'error' });
    });
  });

  describe('groups', () => {
    const members = (h: EngineHarness, n: number, pattern = 'x', group = 'g'): Peer[] =>
      Array.from({ length: n }, () => {
        const peer = h.peer();
        peer.listen(pattern, group);
        return peer;
      });
    const turns = (all: Peer[]): string[] => all.map(({ pushed }) => pushed.map((line) => line.split(' ')[1]).join());
    const publish = (h: EngineHarness, from: number, to: number): void => {
      for (let i = from; i <= to; i++) h.peer().signal('x', `${i}`);
    };

    it('serve their members in turn, in the order in which they joined', () => {
      const h = new EngineHarness();
      const all = members(h, 3);
      publish(h, 1, 7);
      expect(turns(all)).toEqual(['1,4,7', '2,5', '3,6']);
    });

    it('take their turns independently', () => {
      const h = new EngineHarness();
      const exact = members(h, 2, 'x', 'g');
      const wild = members(h, 3, '*', 'g');
      publish(h, 1, 4);
      expect(turns([...exact, ...wild])).toEqual(['1,3', '2,4', '1,4', '2', '3']);
    });

    it('count on when members come and go', () => {
      const h = new EngineHarness();
      const [a, b, c] = members(h, 3) as [Peer, Peer, Peer];
      publish(h, 1, 2);
      b.close();
      // The counter is at 2, of two members that is the first.
      publish(h, 3, 4);
      expect(turns([a, c])).toEqual(['1,3', '4']);
      const [d] = members(h, 1) as [Peer];
      publish(h, 5, 7);
      expect(turns([a, c, d])).toEqual(['1,3,7', '4,5', '6']);
    });

    it('begin anew when nobody was left', () => {
      const h = new EngineHarness();
      const [a] = members(h, 1) as [Peer];
      publish(h, 1, 1);
      a.unlisten('x', 'g');
      const all = members(h, 2);
      publish(h, 2, 3);
      expect(turns(all)).toEqual(['2', '3']);
    });

    it('pass over a member whose buffer is full, without evicting it', () => {
      const h = new EngineHarness();
      const all = members(h, 3);
      all[0]!.room = 0;
      publish(h, 1, 4);
      // Signals 1 and 4 were the first one's turn.
      expect(turns(all)).toEqual(['', '1,2,4', '3']);
      expect(all.map(({ evictions }) => evictions)).toEqual([0, 0, 0]);
    });

    it('evict the member whose turn it was when all are full', () => {
      const h = new EngineHarness();
      const all = members(h, 3);
      publish(h, 1, 1);
      for (const peer of all) peer.room = 0;
      expect(h.peer().signal('x')).toEqual(count(0));
      expect(all.map(({ evictions }) => evictions)).toEqual([0, 1, 0]);
    });
  });

  it('evict who listens without group and cannot take one more (6.4)', () => {
    const h = new EngineHarness();
    const [slow, fast] = [h.peer(), h.peer()];
    slow.listen('x');
    fast.listen('x');
    slow.room = 64;
    for (let i = 0; i < 64; i++) expect(h.peer().signal('x')).toEqual(count(2));
    expect(slow.evictions).toBe(0);
    expect(h.peer().signal('x')).toEqual(count(1));
    expect(slow.evictions).toBe(1);
    slow.close();
    expect(h.peer().signal('x')).toEqual(count(1));
    expect([slow.pushed.length, fast.pushed.length]).toEqual([64, 66]);
  });

  it('keep what one listens to apart in names that contain each other', () => {
    const h = new EngineHarness();
    const a = h.peer();
    a.listen('x', 'y');
    a.listen('xy');
    expect(h.peer().signal('xy')).toEqual(count(1));
    a.unlisten('x', 'y');
    expect(h.peer().signal('x')).toEqual(count(0));
    expect(h.peer().signal('xy')).toEqual(count(1));
  });

  it('are counted as a naive list of subscriptions counts them', () => {
    const patterns = ['a', 'a.b', '>', 'a.*', '*.b'];
    const step = fc.record({
      do: fc.constantFrom('listen', 'listen', 'unlisten', 'signal', 'signal', 'close'),
      by: fc.nat(3),
      pattern: fc.constantFrom(...patterns),
      group: fc.constantFrom('', '', 'g', 'h'),
      channel: fc.constantFrom('a', 'a.b', 'b', 'x.b', 'a.b.c'),
    });
    const regular = (pattern: string): RegExp =>
      new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '[^.]*').replaceAll('>', '.*')}$`);
    // Of all lengths alike: by default, fast-check makes short ones, of which little comes.
    const some = fc.noBias(fc.array(step, { maxLength: 60, size: 'max' }));
    fc.assert(
      fc.property(some, (steps) => {
        const h = new EngineHarness();
        const peers = [1, 2, 3, 4].map(() => h.peer());
        let subscriptions: { by: Peer; pattern: string; group: string }[] = [];
        const without = (gone: { by: Peer; pattern?: string; group?: string }) =>
          subscriptions.filter((one) => !Object.entries(gone).every(([name, value]) => one[name as 'by'] === value));
        for (const { do: what, by: n, pattern, group, channel } of steps) {
          const by = peers[n]!;
          if (what === 'listen') {
            subscriptions = [...without({ by, pattern, group }), { by, pattern, group }];
            by.listen(pattern, group);
          } else if (what === 'unlisten') {
            subscriptions = without({ by, pattern, group });
            by.unlisten(pattern, group);
          } else if (what === 'close') {
            subscriptions = without({ by });
            by.close();
            peers[n] = h.peer();
          } else {
            const matching = subscriptions.filter((one) => regular(one.pattern).test(channel));
            const single = new Set(matching.filter((one) => one.group === '').map((one) => one.by)).size;
            const groups = new Set(
              matching.filter((one) => one.group !== '').map((one) => `${one.pattern} ${one.group}`),
            ).size;
            expect(by.signal(channel)).toEqual(count(single + groups));
          }
        }
        const listeners = h.stats().signal_channels.reduce((sum, one) => sum + one.listeners, 0);
        expect(listeners).toBe(subscriptions.length);
      }),
      { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 100) },
    );
  });
});
