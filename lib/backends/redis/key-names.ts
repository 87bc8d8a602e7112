import type { LockKind } from '../backend.js';
import type { KnownKeys } from './op.js';
import { lockKeys, semaphoreKeys } from './scripts/companion-keys.js';

/** So many are remembered, of keys that are not longer than usual: names are used again and again. */
const MAX_KEYS = 1024;
const LONGEST = 128;

/** The names that the keys of one kind have in Redis. */
class Names {
  private readonly known = new Map<string, KnownKeys>();

  constructor(
    private readonly kind: LockKind,
    private readonly prefix: string,
    private readonly isCluster: boolean,
  ) {}

  of(key: string): KnownKeys {
    let keys = this.known.get(key);
    if (keys) return keys;
    keys = this.ofFull(this.prefix + key);
    if (key.length > LONGEST) return keys;
    if (this.known.size >= MAX_KEYS) this.known.clear();
    this.known.set(key, keys);
    return keys;
  }

  ofFull(key: string): KnownKeys {
    const keys = this.kind === 'lock' ? lockKeys(key, this.isCluster) : semaphoreKeys(key, this.isCluster);
    return { ...keys, isContended: false, behind: undefined };
  }
}

/** The names that keys have in Redis. */
export class KeyNames {
  private readonly lock: Names;
  private readonly sem: Names;

  constructor(
    private readonly prefixes: Readonly<Record<LockKind, string>>,
    isCluster: boolean,
  ) {
    this.lock = new Names('lock', prefixes.lock, isCluster);
    this.sem = new Names('sem', prefixes.sem, isCluster);
  }

  /** @param key as the client has it */
  of(kind: LockKind, key: string): KnownKeys {
    return this[kind].of(key);
  }

  /** The key as the client has it. */
  withoutPrefix(key: string): string {
    const { lock, sem } = this.prefixes;
    const prefix = [lock, sem].filter((one) => key.startsWith(one)).sort((a, b) => b.length - a.length)[0] ?? '';
    return key.slice(prefix.length);
  }

  /** @param key as Redis has it */
  ofFull(kind: LockKind, key: string): KnownKeys {
    return this[kind].ofFull(key);
  }
}
