import { describe, expect, it } from '@jest/globals';
import { lockKeys, semaphoreKeys, slotOf } from '../../../../../lib/backends/redis/scripts/companion-keys.js';

describe('the slot of a key', () => {
  it.each([
    ['', 0],
    ['123456789', 12_739],
    ['foo', 12_182],
    ['{foo}bar', 12_182],
    ['bar{foo}', 12_182],
    ['foo{}{bar}', 8363],
    ['foo{{bar}}zap', 4015],
    ['foo{bar}{zap}', 5061],
    ['bar', 5061],
  ])('%j: %d', (key, slot) => {
    expect(slotOf(key)).toBe(slot);
  });

  it('is that of the bytes of UTF-8', () => {
    expect(slotOf('x{ä}')).toBe(slotOf('ä'));
    expect(slotOf('ä')).not.toBe(slotOf('a'));
  });
});

describe('the keys of a lock', () => {
  it('outside a cluster', () => {
    expect(lockKeys('lock:a', false)).toEqual({
      key: 'lock:a',
      queue: '{lock:a}:q',
      alive: '{lock:a}:l',
      fence: 'dflockd:fence',
      tag: '',
    });
    expect(lockKeys('lock:{a}b', false).queue).toBe('lock:{a}b::q');
    expect(lockKeys('lock:a}b', false).queue).toBe('{lock:a}b}:q');
    expect(semaphoreKeys('sem:a', false)).toEqual({ ...lockKeys('sem:a', false), limit: '{sem:a}:n' });
  });

  it.each([
    'lock:a',
    'lock:{a}b',
    'lock:a}b',
    'lock:{}x',
    'lock:{',
    'lock:}',
    '{',
    '}',
    '{}',
    '{}{a}',
    'a{b',
    'lock:{{a}}',
    'lock: ä',
    'x'.repeat(1024),
  ])('of %j in a cluster are in one slot, and differ', (key) => {
    const { tag, ...names } = semaphoreKeys(key, true);
    expect(Object.values(names).map(slotOf)).toEqual(Array.from({ length: 5 }, () => slotOf(key)));
    expect(slotOf(tag)).toBe(slotOf(key));
    expect(tag).toMatch(/^[0-9a-z]{1,4}$/);
    expect(new Set(Object.values(names)).size).toBe(5);
    expect(names.key).toBe(key);
    expect(names.fence).toBe(`dflockd:fence:{${tag}}`);
  });

  it('of two locks in one slot have one counter, and queues of their own', () => {
    const [one, other] = [lockKeys('lock:{a}1', true), lockKeys('lock:{a}2', true)];
    expect(one.fence).toBe(other.fence);
    expect(one.queue).not.toBe(other.queue);
  });

  it.each([true, false])('of two keys are never the same (in a cluster: %s)', (isCluster) => {
    const odd = ['a}b', 'a}', 'a}:', 'a}+', 'a', 'a:', 'a+'];
    const tagged = odd.map((key) => `{${lockKeys(key, true).tag}}${key}`);
    const all = [...odd, ...odd.map((key) => `{${key}}`), ...tagged, ...tagged.map((key) => `${key}:`)];
    const queues = all.map((key) => lockKeys(key, isCluster).queue);
    expect(new Set(queues).size).toBe(new Set(all).size);
  });
});
