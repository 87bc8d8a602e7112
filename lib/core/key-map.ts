/** So many keys are in one map, which has room for them in a millisecond. */
const IN_FIRST = 8192;
/** How many more maps there are; a power of two. With five million keys, each has 20,000. */
const SHARDS = 256;

/** Any hash does that is not even for usual keys: who makes up keys for one shard makes that one as slow as a single map. */
function shardOf(key: string): number {
  let hash = 0;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash, 31) + key.charCodeAt(i);
  return (hash ^ (hash >>> 15)) & (SHARDS - 1);
}

/**
 * A map that never grows or shrinks in one go: a `Map` moves all its entries when it doubles or halves, 30 to 60 ms with
 * a million of them, in which nobody is served. The first thousands cost no more than there.
 */
export class KeyMap<V extends object> {
  private readonly first = new Map<string, V>();
  private shards: Map<string, V>[] | undefined = undefined;
  size = 0;

  get(key: string): V | undefined {
    const value = this.first.get(key);
    return value === undefined && this.shards ? this.shards[shardOf(key)]!.get(key) : value;
  }

  /** @param key one that is not in the map */
  add(key: string, value: V): void {
    this.size++;
    if (this.first.size < IN_FIRST) {
      this.first.set(key, value);
      return;
    }
    this.shards ??= Array.from({ length: SHARDS }, () => new Map<string, V>());
    this.shards[shardOf(key)]!.set(key, value);
  }

  delete(key: string): void {
    if (this.first.delete(key) || this.shards?.[shardOf(key)]!.delete(key)) this.size--;
  }

  *values(): Generator<V, void> {
    yield* this.first.values();
    for (const shard of this.shards ?? []) yield* shard.values();
  }
}
