import { beforeEach, describe, expect, it } from '@jest/globals';
import { PatternIndex } from '../../../lib/core/pattern-index.js';
import { Topic } from '../../../lib/core/topic.js';
import { matchesChannel } from '../../../lib/protocol/patterns.js';
import { WEIGHT } from '../../../lib/core/signal-weight.js';
import { EngineHarness, type Peer } from '../../support/engine-harness.js';

const LISTENERS = 8_000;

/** A signal to thousands of listeners, or past thousands of patterns, is delivered in portions (row 3 of the load faults). */
describe('a signal with very much to do', () => {
  let h: EngineHarness;
  /** One portion. */
  const proceed = (): void => h.engine.advance(h.now, h.seen);
  const copies = (): number => listeners.reduce((sum, { pushed }) => sum + pushed.length, 0);
  let listeners: Peer[];
  const listen = (count: number, pattern = 'news', group: (i: number) => string = () => ''): Peer[] => {
    listeners = Array.from({ length: count }, () => h.peer());
    listeners.forEach((peer, i) => peer.listen(pattern, group(i)));
    return listeners;
  };
  const publish = (peer: Peer, channel: string, payload = 'x') => peer.send({ t: 'signal', channel, payload });

  beforeEach(() => {
    h = new EngineHarness();
  });

  it.each([
    ['everyone', 'news', () => ''],
    ['everyone, by a wildcard', '*.>', () => ''],
    ['groups', 'news', (i: number) => `g${i}`],
  ])('goes to %s in portions, and is answered with the count at the end', (_what, pattern, group) => {
    listen(LISTENERS, pattern, group);
    const channel = pattern === 'news' ? 'news' : 'news.today';
    const asked = publish(h.peer(), channel);
    expect(copies()).toBeLessThan(2_100);
    let portions = 0;
    for (let before = copies(); !asked.answer; before = copies(), portions++) {
      expect(h.engine.nextWake()).toBe(-Infinity);
      proceed();
      expect(copies() - before).toBeLessThan(2_100);
    }
    expect(asked.answer).toEqual({ s: 'delivered', count: LISTENERS });
    expect(portions).toBeGreaterThanOrEqual(3);
    expect(new Set(listeners.map(({ pushed }) => pushed.length))).toEqual(new Set([1]));
    expect(h.engine.nextWake()).toBe(Infinity);
  });

  it('ends deaf listeners a few at a time', () => {
    for (const peer of listen(3_000)) peer.room = 0;
    const asked = publish(h.peer(), 'news');
    const evicted = (): number => listeners.filter(({ evictions }) => evictions > 0).length;
    expect(evicted()).toBeLessThanOrEqual(8);
    proceed();
    expect(evicted()).toBeLessThanOrEqual(16);
    while (!asked.answer) proceed();
    expect(evicted()).toBe(3_000);
    expect(asked.answer).toEqual({ s: 'delivered', count: 0 });
  });

  it('looks at so many patterns in a portion, and matches each once', () => {
    // Of as many sessions as it takes, one token, and then what does not match.
    const crowd = Array.from({ length: 20 }, () => h.peer());
    crowd.forEach((peer, p) => {
      for (let i = 0; i < 1_000; i++) peer.listen(`news.*.${p}.${i}`);
    });
    const [reader] = listen(1, 'news.*.*.*');
    const asked = publish(h.peer(), 'news.a.0.0');
    expect(asked.answer).toBeUndefined();
    let portions = 0;
    for (; !asked.answer; portions++) proceed();
    expect(portions).toBeGreaterThanOrEqual(4);
    expect(asked.answer).toEqual({ s: 'delivered', count: 2 });
    expect(reader!.pushed).toEqual(['news.a.0.0 x']);
    // Patterns with another first token cost nothing.
    expect(publish(h.peer(), 'other.a.0.0').answer).toEqual({ s: 'delivered', count: 0 });
  });

  it('passes those who have it already in portions, where all listen to hundreds of patterns that match', () => {
    const channel = Array(9).fill('a').join('.');
    const patterns = Array.from({ length: 512 }, (_, bits) =>
      channel.replace(/a/g, (token, at: number) => ((bits >> (at / 2)) & 1 ? '*' : token)),
    );
    const crowd = listen(200, channel);
    for (const peer of crowd) for (const pattern of patterns) peer.listen(pattern);
    const asked = publish(h.peer(), channel);
    let portions = 0;
    for (; !asked.answer; portions++) proceed();
    expect(portions).toBeGreaterThanOrEqual(10);
    expect(asked.answer).toEqual({ s: 'delivered', count: 200 });
    expect(copies()).toBe(200);
  });

  it('comes to each listener in the order of publishing, whoever publishes on that channel', () => {
    listen(5_000);
    const publishers = [h.peer(), h.peer(), h.peer()];
    const asked = publishers.map((peer, i) => publish(peer, 'news', `${i}`));
    while (asked.some(({ answer }) => !answer)) proceed();
    for (const { pushed } of listeners) expect(pushed).toEqual(['news 0', 'news 1', 'news 2']);
  });

  it('does not keep signals on other channels waiting until it is over', () => {
    const crowd = listen(LISTENERS);
    const other = h.peer();
    other.listen('other');
    const large = publish(h.peer(), 'news');
    const small = publish(h.peer(), 'other');
    for (let i = 0; i < 2; i++) proceed();
    expect(small.answer).toEqual({ s: 'delivered', count: 1 });
    expect(large.answer).toBeUndefined();
    expect(crowd.at(-1)!.pushed).toEqual([]);
  });

  it('comes at most once, also to who leaves and listens again meanwhile, and not to who came later', () => {
    const crowd = listen(LISTENERS);
    const grouped = h.peer();
    grouped.listen('news', 'g');
    const asked = publish(h.peer(), 'news');
    const [first, second, third] = crowd as [Peer, Peer, Peer];
    expect(first.pushed).toHaveLength(1);
    first.unlisten('news');
    first.listen('news');
    const last = crowd.at(-1)!;
    last.unlisten('news');
    second.close();
    const late = h.peer();
    late.listen('news');
    late.listen('news', 'late');
    for (const wild of ['>', '*']) {
      first.listen(wild);
      third.listen(wild);
    }
    while (!asked.answer) proceed();
    expect(asked.answer).toEqual({ s: 'delivered', count: LISTENERS });
    expect([first.pushed.length, third.pushed.length, last.pushed.length, late.pushed.length]).toEqual([1, 1, 0, 0]);
    expect(grouped.pushed).toHaveLength(1);
  });

  it('goes on when its publisher has gone, and answers nobody', () => {
    listen(LISTENERS);
    const publisher = h.peer();
    const asked = publish(publisher, 'news');
    publisher.close();
    while (h.engine.nextWake() === -Infinity) proceed();
    expect(asked.answer).toBeUndefined();
    expect(copies()).toBe(LISTENERS);
  });

  it('is finished while the engine drains', () => {
    listen(LISTENERS);
    const asked = publish(h.peer(), 'news');
    h.drain();
    while (h.engine.nextWake() === -Infinity) proceed();
    expect(asked.answer).toEqual({ s: 'delivered', count: LISTENERS });
  });

  it('weighs what it carries: long ones go to fewer listeners at a time', () => {
    listen(LISTENERS);
    publish(h.peer(), 'news', 'x'.repeat(60_000));
    expect(copies()).toBeLessThan(30);
  });

  it.each([
    ['everyone', 'news', () => ''],
    ['everyone, by a wildcard', '*.>', () => ''],
    ['groups', 'news', (i: number) => `g${i}`],
  ])(
    'weighs what its copies cost the host: server-sent events to %s go to fewer listeners at a time',
    (_, pattern, group) => {
      listeners = Array.from({ length: 1_000 }, () => h.peer());
      for (const { session } of listeners) session.copyWeight = WEIGHT.event;
      listeners.forEach((peer, i) => peer.listen(pattern, group(i)));
      publish(h.peer(), pattern === 'news' ? 'news' : 'news.today');
      expect(copies()).toBeGreaterThan(100);
      expect(copies()).toBeLessThan(300);
    },
  );
});

describe('a session with thousands of subscriptions', () => {
  it('is forgotten in portions, its locks first', () => {
    const h = new EngineHarness();
    const peer = h.peer();
    peer.acquire({ kind: 'lock', key: 'k', limit: 1 });
    for (let i = 0; i < 10_000; i++) peer.listen(i % 2 ? `a.${i}` : `a.*.${i}`, i % 3 ? '' : 'g');
    peer.close();
    const left = (): number => h.stats().signal_channels.length;
    expect(h.engine.isHeld('lock', 'k')).toBe(false);
    for (let before = left(); before > 0; before = left()) {
      expect(h.engine.nextWake()).toBe(-Infinity);
      h.engine.advance(h.now, h.seen);
      expect(before - left()).toBeLessThanOrEqual(512);
    }
    expect(h.engine.nextWake()).toBeGreaterThan(h.now);
    expect(h.engine.statsSize).toBe(1);
  });
});

describe('the index of patterns', () => {
  const tokens = ['a', 'b', '', '*'];
  const patterns = tokens
    .flatMap((x) => tokens.flatMap((y) => [`${x}.${y}`, `${x}.${y}.>`, `*.${x}.${y}`]))
    .concat('*', '>', '*.>');
  const wild = [...new Set(patterns.filter((pattern) => /[*>]/.test(pattern)))];
  const channels = ['a', 'b', '', '.', 'a.b', 'b.a', 'a..', 'a.b.c', '..', 'a.a.a.a', 'c.c'];
  const found = (index: PatternIndex, channel: string): string[] =>
    index
      .candidates(channel)
      .flatMap((topics) => topics.map(({ pattern }) => pattern))
      .filter((pattern) => matchesChannel(pattern, channel))
      .sort();

  it('finds what matches, however it has grown and shrunk', () => {
    const index = new PatternIndex();
    const topics = new Map(wild.map((pattern) => [pattern, new Topic(pattern, 0)]));
    for (const topic of topics.values()) index.add(topic);
    for (let step = 0; step < 3; step++) {
      for (const channel of channels) {
        const wanted = [...topics.keys()].filter((pattern) => matchesChannel(pattern, channel)).sort();
        expect(found(index, channel)).toEqual(wanted);
      }
      [...topics.values()].forEach((topic, i) => {
        if ((i + step) % 2) return;
        index.delete(topic);
        topics.delete(topic.pattern);
      });
      expect(index.size).toBe(topics.size);
    }
  });

  it('keeps nothing of what was taken out', () => {
    const index = new PatternIndex();
    const topics = wild.map((pattern) => new Topic(pattern, 0));
    for (const topic of topics) index.add(topic);
    for (const topic of topics) index.delete(topic);
    expect(channels.flatMap((channel) => index.candidates(channel))).toEqual([]);
    expect([...index.values()]).toEqual([]);
  });
});
