import { isWildcard, tokenMatcher, tokensOf } from './patterns.js';

interface Route<T> {
  readonly matches: (tokens: readonly string[]) => boolean;
  readonly takers: Set<T>;
}

/** Routes signals to subscribers on the client side: a push does not say which pattern it matched (spec 6.2). */
export class ChannelRouter<T> {
  private readonly exact = new Map<string, Route<T>>();
  private readonly wild = new Map<string, Route<T>>();

  get size(): number {
    return this.exact.size + this.wild.size;
  }

  /** Returns whether it is the first taker of the pattern. */
  add(pattern: string, taker: T): boolean {
    const routes = this.routesOf(pattern);
    const known = routes.get(pattern);
    if (known) known.takers.add(taker);
    else routes.set(pattern, { matches: tokenMatcher(pattern), takers: new Set([taker]) });
    return !known;
  }

  /** Returns whether it was the last taker of the pattern. */
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

  /** The takers of a channel, once for each of their patterns that match. */
  route(channel: string): T[] {
    const found = [...(this.exact.get(channel)?.takers ?? [])];
    if (this.wild.size === 0) return found;
    const tokens = tokensOf(channel);
    for (const { matches, takers } of this.wild.values()) if (matches(tokens)) found.push(...takers);
    return found;
  }

  /** All takers, once for each of their patterns. */
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
