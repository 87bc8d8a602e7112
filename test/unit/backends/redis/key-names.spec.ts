import { describe, expect, it } from '@jest/globals';
import { KeyNames } from '../../../../lib/backends/redis/key-names.js';
import { LockKeyError } from '../../../../lib/common/errors.js';

describe('the names of keys', () => {
  const names = new KeyNames({ lock: 'app:lock:', sem: 'app:sem:' }, false);

  it('begin with the prefix of their kind', () => {
    expect(names.of('lock', 'a').key).toBe('app:lock:a');
    expect(names.of('sem', 'a')).toMatchObject({ key: 'app:sem:a', limit: '{app:sem:a}:n' });
    expect(names.of('lock', 'a')).not.toHaveProperty('limit');
    expect(names.ofFull('sem', 'app:sem:a').key).toBe('app:sem:a');
  });

  it('are what is known of a key, and forgotten when there are too many', () => {
    const known = names.of('lock', 'a');
    expect(names.of('lock', 'a')).toBe(known);
    expect(names.ofFull('lock', 'app:lock:a')).not.toBe(known);
    for (let i = 0; i < 1023; i++) names.of('lock', `k${i}`);
    expect(names.of('lock', 'k1022')).toBe(names.of('lock', 'k1022'));
    names.of('lock', 'one more');
    expect(names.of('lock', 'a')).not.toBe(known);
  });

  it('are not remembered where they are long', () => {
    const [usual, long] = ['a'.repeat(128), 'a'.repeat(129)];
    expect(names.of('lock', usual)).toBe(names.of('lock', usual));
    expect(names.of('lock', long)).not.toBe(names.of('lock', long));
  });

  it.each([
    [{ lock: 'dflockd:', sem: 'sem:' }, 'lock', 'fence'],
    [{ lock: '', sem: 'dflockd:' }, 'sem', 'fence'],
    [{ lock: '', sem: 'sem:' }, 'lock', 'dflockd:fence:{3}'],
  ] as const)('of %j are never that of a counter of fences', (prefixes, kind, key) => {
    const some = new KeyNames(prefixes, false);
    expect(() => some.of(kind, key)).toThrow(LockKeyError);
    expect(() => some.of(kind, key)).toThrow('which counts fences');
    expect(some.of(kind, 'ence').key).toBe(`${prefixes[kind]}ence`);
    // What a message names is not refused: nobody would hear of it.
    expect(some.ofFull(kind, `${prefixes[kind]}${key}`).key).toBe(`${prefixes[kind]}${key}`);
  });

  it('are shown to users without the prefix, the longer one where both fit', () => {
    expect(names.withoutPrefix('app:lock:a')).toBe('a');
    expect(names.withoutPrefix('app:sem:a')).toBe('a');
    expect(names.withoutPrefix('other:a')).toBe('other:a');
    expect(new KeyNames({ lock: '', sem: 'sem:' }, false).withoutPrefix('sem:a')).toBe('a');
    expect(new KeyNames({ lock: 'x:y:', sem: 'x:' }, false).withoutPrefix('x:y:a')).toBe('a');
  });
});
