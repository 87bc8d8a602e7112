import { ownBytes } from '../protocol/bytes.js';
import { isWildcard, tokenMatcher, tokensOf } from '../protocol/patterns.js';
import type { Session } from './session.js';

/** The members of one (pattern, group) pair; each signal goes to one of them, in turn (spec 6.3). */
interface Group {
  readonly members: Session[];
  turn: number;
}

interface Topic {
  readonly pattern: string;
  readonly matches: (tokens: readonly string[]) => boolean;
  readonly everyone: Set<Session>;
  readonly groups: Map<string, Group>;
}

/** Publish and subscribe (spec 6). Nothing is stored: who does not listen at that moment gets nothing. */
export class SignalHub {
  private readonly exact = new Map<string, Topic>();
  private readonly wild = new Map<string, Topic>();
  /** Subscriptions of a session, as pattern LF group. */
  private readonly bySession = new Map<Session, Set<string>>();

  constructor(private readonly maxSubscriptions: number) {}

  /** False: the session has as many subscriptions as it may. Saying the same twice is no second one. */
  listen(session: Session, pattern: string, group: string): boolean {
    const name = ownBytes(`${pattern}\n${group}`);
    const mine = this.bySession.get(session) ?? new Set();
    if (mine.has(name)) return true;
    if (this.maxSubscriptions > 0 && mine.size >= this.maxSubscriptions) return false;
    this.bySession.set(session, mine.add(name));
    const topic = this.topic(pattern);
    if (group === '') {
      topic.everyone.add(session);
    } else {
      const members = topic.groups.get(group);
      if (members) members.members.push(session);
      else topic.groups.set(ownBytes(group), { members: [session], turn: 0 });
    }
    return true;
  }

  unlisten(session: Session, pattern: string, group: string): void {
    const mine = this.bySession.get(session);
    if (!mine?.delete(`${pattern}\n${group}`)) return;
    if (mine.size === 0) this.bySession.delete(session);
    this.leave(session, pattern, group);
  }

  /** The session is gone. */
  drop(session: Session): void {
    for (const name of this.bySession.get(session) ?? []) {
      const cut = name.indexOf('\n');
      this.leave(session, name.slice(0, cut), name.slice(cut + 1));
    }
    this.bySession.delete(session);
  }

  /** Returns the number of copies that were put into buffers (spec 6.3). */
  publish(channel: string, payload: string): number {
    const served = new Set<Session>();
    const exact = this.exact.get(channel);
    let copies = exact ? this.deliver(exact, channel, payload, served) : 0;
    const wild = this.wildTopics(channel);
    for (const topic of wild) copies += this.toEveryone(topic, channel, payload, served);
    for (const topic of wild) copies += this.toGroups(topic, channel, payload);
    return copies;
  }

  /** Listeners of each pattern and of each of its groups. */
  *counts(): Generator<{ pattern: string; group: string; listeners: number }, void> {
    for (const topic of [...this.exact.values(), ...this.wild.values()]) {
      if (topic.everyone.size > 0) yield { pattern: topic.pattern, group: '', listeners: topic.everyone.size };
      for (const [group, { members }] of topic.groups) {
        yield { pattern: topic.pattern, group, listeners: members.length };
      }
    }
  }

  private wildTopics(channel: string): Topic[] {
    const found: Topic[] = [];
    if (this.wild.size === 0) return found;
    const tokens = tokensOf(channel);
    for (const topic of this.wild.values()) if (topic.matches(tokens)) found.push(topic);
    return found;
  }

  private topic(pattern: string): Topic {
    const topics = isWildcard(pattern) ? this.wild : this.exact;
    const known = topics.get(pattern);
    if (known) return known;
    const own = ownBytes(pattern);
    const made: Topic = { pattern: own, matches: tokenMatcher(own), everyone: new Set(), groups: new Map() };
    topics.set(own, made);
    return made;
  }

  private leave(session: Session, pattern: string, group: string): void {
    const topics = isWildcard(pattern) ? this.wild : this.exact;
    const topic = topics.get(pattern)!;
    if (group === '') {
      topic.everyone.delete(session);
    } else {
      const { members } = topic.groups.get(group)!;
      members.splice(members.indexOf(session), 1);
      if (members.length === 0) topic.groups.delete(group);
    }
    if (topic.everyone.size === 0 && topic.groups.size === 0) topics.delete(pattern);
  }

  private deliver(topic: Topic, channel: string, payload: string, served: Set<Session>): number {
    return this.toEveryone(topic, channel, payload, served) + this.toGroups(topic, channel, payload);
  }

  /** At most one copy for a session, however many of its patterns match; who cannot take it is evicted (spec 6.4). */
  private toEveryone(topic: Topic, channel: string, payload: string, served: Set<Session>): number {
    let copies = 0;
    for (const session of topic.everyone) {
      if (served.has(session)) continue;
      served.add(session);
      if (session.sink.push(channel, payload)) copies++;
      else session.sink.evict();
    }
    return copies;
  }

  private toGroups(topic: Topic, channel: string, payload: string): number {
    let copies = 0;
    for (const group of topic.groups.values()) {
      const first = group.turn++ % group.members.length;
      if (this.toMember(group.members, first, channel, payload)) copies++;
      else group.members[first]!.sink.evict();
    }
    return copies;
  }

  /** To the member whose turn it is, or the next that can take it. */
  private toMember(members: readonly Session[], first: number, channel: string, payload: string): boolean {
    for (let i = 0; i < members.length; i++) {
      const member = members[(first + i) % members.length]!;
      if (member.sink.push(channel, payload)) return true;
    }
    return false;
  }
}
