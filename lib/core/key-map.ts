/** Keys in the first map, which grows to this size within a millisecond. */
const IN_FIRST = 8192;
/** The number of further maps; a power of two. With five million keys, each has 20,000. */
const SHARDS = 256;

/** Read once: within a vm context, as in jest, reading a global costs more than the rest of the loop that hashes a key. */
const { imul } = Math;

/** Any hash that spreads ordinary keys evenly will do: crafted keys can only make one shard as slow as one `Map`. */
function shardOf(key: string): number {
  let hash = 0;
  for (let i = 0; i < key.length; i++) hash = imul(hash, 31) + key.charCodeAt(i);
  return (hash ^ (hash >>> 15)) & (SHARDS - 1);
}

/**
 * A map that never grows or shrinks all at once. A `Map` moves all its entries when it doubles or halves, which blocks
 * the process for 30 to 60 ms with a million entries. The first few thousand keys cost no more than in a `Map`.
 */
export class KeyMap<V extends object> {
  private readonly first = new Map<string, V>();
  private shards: Map<string, V>[] | undefined = undefined;
  size = 0;

  get(key: string): V | undefined {
    const value = this.first.get(key);
    return value === undefined && this.shards ? this.shards[shardOf(key)]!.get(key) : value;
  }

  /** @param key must not be in the map yet */
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
