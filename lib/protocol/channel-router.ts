import { isWildcard, tokenMatcher, tokensOf } from './patterns.js';

interface Route<T> {
  readonly matches: (tokens: readonly string[]) => boolean;
  readonly takers: Set<T>;
}

/** Who wants what channel, on this side of a connection: pushes do not say to which pattern they are owed (spec 6.2). */
export class ChannelRouter<T> {
  private readonly exact = new Map<string, Route<T>>();
  private readonly wild = new Map<string, Route<T>>();

  get size(): number {
    return this.exact.size + this.wild.size;
  }

  /** True for the first taker of a pattern. */
  add(pattern: string, taker: T): boolean {
    const routes = this.routesOf(pattern);
    const known = routes.get(pattern);
    if (known) known.takers.add(taker);
    else routes.set(pattern, { matches: tokenMatcher(pattern), takers: new Set([taker]) });
    return !known;
  }

  /** True when the pattern has no takers any more. */
  remove(pattern: string, taker: T): boolean {
    const routes = this.routesOf(pattern);
    const route = routes.get(pattern);
    if (!route?.takers.delete(taker) || route.takers.size > 0) return false;
    return routes.delete(pattern);
  }

  /** The takers of a pattern. */
  of(pattern: string): T[] {
    return [...(this.routesOf(pattern).get(pattern)?.takers ?? [])];
  }

  /** Everybody who wants this channel, once for each of their patterns. */
  route(channel: string): T[] {
    const found = [...(this.exact.get(channel)?.takers ?? [])];
    if (this.wild.size === 0) return found;
    const tokens = tokensOf(channel);
    for (const { matches, takers } of this.wild.values()) if (matches(tokens)) found.push(...takers);
    return found;
  }

  /** Everybody, once for each of their patterns. */
  all(): T[] {
    return [...this.exact.values(), ...this.wild.values()].flatMap(({ takers }) => [...takers]);
  }

  clear(): void {
    this.exact.clear();
    this.wild.clear();
  }

  private routesOf(pattern: string): Map<string, Route<T>> {
    return isWildcard(pattern) ? this.wild : this.exact;
  }
}
