import { ownBytes } from '../protocol/bytes.js';
import { DEFAULT_MAX_SUBSCRIPTIONS } from '../protocol/limits.js';
import { isWildcard, matchesChannel } from '../protocol/patterns.js';
import { KeyMap } from './key-map.js';
import { PatternIndex } from './pattern-index.js';
import type { Session } from './session.js';
import { type Group, Topic } from './topic.js';
import { WEIGHT } from './signal-weight.js';

/** An entry of `signal_channels` (spec 5). */
export interface ChannelCount {
  readonly pattern: string;
  /** Empty for listeners without a group. */
  readonly group: string;
  readonly listeners: number;
}

/** A signal being delivered: yields whenever the allowance is used up, and returns the number of copies. */
export type Delivery = Generator<undefined, number>;

/** Publish and subscribe (spec 6). Nothing is stored: a session that does not listen at that moment gets nothing. */
export class SignalHub {
  /** How much work may be done before other sessions get a turn. The code that resets it also resumes deliveries. */
  allowance = 0;
  /** The number of subscriptions. */
  size = 0;
  private readonly exact = new KeyMap<Topic>();
  private readonly wild = new PatternIndex();
  /** The subscriptions of each session: the pattern, or pattern LF group. */
  private readonly bySession = new Map<Session, Set<string>>();
  private readonly most: number;
  /** Counts signals and walks, to tell subscriptions made after the start of one from those made before. */
  private moment = 0;

  /** @param maxSubscriptions of a session; 0 = 10,000 */
  constructor(maxSubscriptions: number) {
    this.most = maxSubscriptions || DEFAULT_MAX_SUBSCRIPTIONS;
  }

  /** Returns false if the session has reached its limit of subscriptions. Repeating one does not count. */
  listen(session: Session, pattern: string, group: string): boolean {
    const mine = this.bySession.get(session) ?? new Set();
    const said = nameOf(pattern, group);
    if (mine.has(said)) return true;
    if (mine.size >= this.most) return false;
    const topic = this.topic(pattern);
    this.bySession.set(session, mine.add(group === '' ? topic.pattern : ownBytes(said)));
    this.size++;
    if (group === '') {
      topic.everyone.add(session, this.moment);
      topic.copyWeight = Math.max(topic.copyWeight, session.copyWeight);
      return true;
    }
    topic.groups ??= new Map<string, Group>();
    const known = topic.groups.get(group);
    if (known) known.members.push(session);
    else topic.groups.set(ownBytes(group), { members: [session], turn: 0, since: this.moment });
    return true;
  }

  unlisten(session: Session, pattern: string, group: string): void {
    const mine = this.bySession.get(session);
    if (!mine?.delete(nameOf(pattern, group))) return;
    if (mine.size === 0) this.bySession.delete(session);
    this.leave(session, pattern, group);
  }

  /** Removes up to `most` subscriptions of a session that has ended; returns how many. */
  drop(session: Session, most: number): number {
    const mine = this.bySession.get(session);
    if (!mine) return 0;
    let dropped = 0;
    for (const name of mine) {
      if (dropped === most) return dropped;
      dropped++;
      mine.delete(name);
      const cut = name.indexOf('\n');
      if (cut < 0) this.leave(session, name, '');
      else this.leave(session, name.slice(0, cut), name.slice(cut + 1));
    }
    this.bySession.delete(session);
    return dropped;
  }

  /** Delivers a signal with no listeners, or few on one pattern; returns the number of copies, or else undefined. */
  publishAtOnce(channel: string, payload: string): number | undefined {
    if (this.wild.size > 0) return undefined;
    const topic = this.exact.get(channel);
    if (!topic) return 0;
    const { everyone } = topic;
    if (topic.groups || everyone.size * (topic.copyWeight + WEIGHT.of(payload)) >= this.allowance) return undefined;
    this.moment++;
    let copies = 0;
    for (const [session] of everyone) if (this.send(session, channel, payload)) copies++;
    return copies;
  }

  /** A delivery for the caller to step through. It returns the number of copies put into buffers (spec 6.3). */
  publish(channel: string, payload: string): Delivery {
    return this.deliver(channel, payload, ++this.moment);
  }

  /** Yields the listeners of each pattern and of each of its groups; undefined for those added after the walk began. */
  walk(): Generator<ChannelCount | undefined, void> {
    return this.countsBefore(++this.moment);
  }

  private *countsBefore(moment: number): Generator<ChannelCount | undefined, void> {
    for (const topics of [this.exact, this.wild]) {
      for (const { pattern, everyone, groups, since } of topics.values()) {
        const listeners = everyone.size;
        yield since < moment && listeners > 0 ? { pattern, group: '', listeners } : undefined;
        if (since >= moment || !groups) continue;
        for (const [group, { members, since: began }] of groups) {
          yield began < moment ? { pattern, group, listeners: members.length } : undefined;
        }
      }
    }
  }

  private *deliver(channel: string, payload: string, moment: number): Delivery {
    const exact = this.exact.get(channel);
    // Without wildcards no session can match twice.
    const served = this.wild.size > 0 ? new Set<Session>() : undefined;
    let copies = 0;
    if (exact) {
      copies += yield* this.toEveryone(exact, channel, payload, moment, served);
      copies += yield* this.toGroups(exact, channel, payload, moment);
    }
    if (!served) return copies;
    const found = yield* this.matching(channel);
    for (const topic of found) copies += yield* this.toEveryone(topic, channel, payload, moment, served);
    for (const topic of found) copies += yield* this.toGroups(topic, channel, payload, moment);
    return copies;
  }

  private *matching(channel: string): Generator<undefined, Set<Topic>> {
    const found = new Set<Topic>();
    const candidates = this.wild.candidates(channel);
    this.allowance -= channel.length * WEIGHT.byte;
    for (const topics of candidates) {
      for (let i = topics.length - 1; i >= 0; i--) {
        if (this.spend(WEIGHT.pattern)) yield;
        const topic = topics[i];
        if (topic && matchesChannel(topic.pattern, channel)) found.add(topic);
      }
    }
    return found;
  }

  /** At most one copy per session, however many of its patterns match; evicts one that cannot take it (spec 6.4). */
  private *toEveryone(
    topic: Topic,
    channel: string,
    payload: string,
    moment: number,
    served: Set<Session> | undefined,
  ): Generator<undefined, number> {
    let copies = 0;
    if (this.spend(WEIGHT.pattern)) yield;
    for (const [session, since] of topic.everyone) {
      // Listeners are in the order in which they were added.
      if (since >= moment) break;
      if (this.allowance <= 0) yield;
      if (served?.has(session)) {
        this.allowance -= WEIGHT.skip;
        continue;
      }
      served?.add(session);
      if (this.send(session, channel, payload)) copies++;
    }
    return copies;
  }

  private *toGroups(topic: Topic, channel: string, payload: string, moment: number): Generator<undefined, number> {
    let copies = 0;
    for (const group of topic.groups?.values() ?? []) {
      if (this.allowance <= 0) yield;
      if (group.since >= moment || group.members.length === 0) continue;
      const first = group.turn++ % group.members.length;
      if (this.toMember(group.members, first, channel, payload)) copies++;
      else this.evict(group.members[first]!);
    }
    return copies;
  }

  /** Sends to the member whose turn it is, or to the next that can take it. */
  private toMember(members: readonly Session[], first: number, channel: string, payload: string): boolean {
    for (let i = 0; i < members.length; i++) {
      if (this.push(members[(first + i) % members.length]!, channel, payload)) return true;
    }
    return false;
  }

  private send(session: Session, channel: string, payload: string): boolean {
    if (session.closed) return false;
    if (this.push(session, channel, payload)) return true;
    this.evict(session);
    return false;
  }

  private push(session: Session, channel: string, payload: string): boolean {
    this.allowance -= session.copyWeight;
    if (session.closed || !session.sink.push(channel, payload)) return false;
    this.allowance -= WEIGHT.of(payload);
    return true;
  }

  private evict(session: Session): void {
    this.allowance -= WEIGHT.eviction;
    if (!session.closed) session.sink.evict();
  }

  /** Returns whether other sessions must get a turn now. */
  private spend(weight: number): boolean {
    this.allowance -= weight;
    return this.allowance <= 0;
  }

  private topic(pattern: string): Topic {
    const topics = isWildcard(pattern) ? this.wild : this.exact;
    const known = topics.get(pattern);
    if (known) return known;
    const made = new Topic(ownBytes(pattern), this.moment);
    if (topics === this.wild) this.wild.add(made);
    else this.exact.add(made.pattern, made);
    return made;
  }

  private leave(session: Session, pattern: string, group: string): void {
    this.size--;
    const topic = (isWildcard(pattern) ? this.wild : this.exact).get(pattern)!;
    if (group === '') {
      topic.everyone.delete(session);
    } else {
      const { members } = topic.groups!.get(group)!;
      members.splice(members.indexOf(session), 1);
      if (members.length === 0) topic.groups!.delete(group);
    }
    if (!topic.isEmpty) return;
    if (isWildcard(pattern)) this.wild.delete(topic);
    else this.exact.delete(pattern);
  }
}

const nameOf = (pattern: string, group: string): string => (group === '' ? pattern : `${pattern}\n${group}`);
