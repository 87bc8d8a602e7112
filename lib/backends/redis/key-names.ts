import type { LockKind } from '../backend.js';
import type { KnownKeys } from './op.js';
import { lockKeys, refuseCounter, semaphoreKeys } from './scripts/companion-keys.js';

/** This many names are remembered, of keys of the usual length, because they are used again and again. */
const MAX_KEYS = 1024;
const LONGEST = 128;

/**
 * For an object that later ops of the key will not share: they would not see `behind`, and could overtake a single call that has to be sent
 * again. A contended key has no single calls.
 */
const isolate = (keys: KnownKeys): void => {
  keys.isContended = true;
};

/** The names that the keys of one kind have in Redis. */
class Names {
  private readonly known = new Map<string, KnownKeys>();
  private most = MAX_KEYS;

  constructor(
    private readonly kind: LockKind,
    private readonly prefix: string,
    private readonly isCluster: boolean,
  ) {}

  of(key: string): KnownKeys {
    let keys = this.known.get(key);
    if (keys) return keys;
    const full = this.prefix + key;
    refuseCounter(full);
    keys = this.ofFull(full);
    if (key.length > LONGEST) {
      isolate(keys);
      return keys;
    }
    if (this.known.size >= this.most) this.forget();
    this.known.set(key, keys);
    return keys;
  }

  /** Forgets all names but those of keys with ops in `behind`, which later ops must not overtake. */
  private forget(): void {
    const { known } = this;
    for (const [key, keys] of known) {
      if (keys.behind) continue;
      isolate(keys);
      known.delete(key);
    }
    this.most = Math.max(MAX_KEYS, 2 * known.size);
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

  /** @param key as the client has it @throws LockKeyError */
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
