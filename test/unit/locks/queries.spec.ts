import { beforeEach, describe, expect, it } from '@jest/globals';
import type { LockKind } from '../../../lib/backends/backend.js';
import { ConfigError, LockKeyError, LockUnavailableError, UnsupportedError } from '../../../lib/common/errors.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeBackend } from './support/fake-backend.js';

class Telling extends FakeBackend {
  readonly asked: string[] = [];
  answer = async (): Promise<boolean> => true;

  isLocked(key: string, kind: LockKind): Promise<boolean> {
    this.asked.push(`${kind} ${key}`);
    return this.answer();
  }
}

describe('isLocked', () => {
  let clock: FakeClock;
  let backend: Telling;
  let client: LockClient<unknown>;

  beforeEach(() => {
    clock = new FakeClock({ now: 1000 });
    backend = new Telling(clock);
    backend.capabilities = { ...backend.capabilities, inspect: 'key' };
    client = new LockClient({ backend, namespace: 'n' }, { clock });
  });

  it('asks for the key on the wire, as a lock or as a semaphore', async () => {
    expect(await client.isLocked('a')).toBe(true);
    backend.answer = async () => false;
    expect(await client.isLocked('x'.repeat(300), { limit: 3 })).toBe(false);
    expect(backend.asked).toEqual(['lock n:a', expect.stringMatching(/^sem n:x{189}#[0-9a-f]{64}$/)]);
    expect(backend.log).toEqual(['start']);
  });

  it('is refused where the backend cannot tell, before anything is sent', async () => {
    const error = new UnsupportedError('fake cannot tell whether a key is locked', { key: 'a' });
    backend.capabilities = { ...backend.capabilities, inspect: 'none' };
    await expect(client.isLocked('a')).rejects.toEqual(error);
    const other = new LockClient({ backend: new FakeBackend(clock) }, { clock });
    await expect(other.isLocked('a')).rejects.toEqual(error);
    expect([backend.log, backend.asked]).toEqual([[], []]);
  });

  it('names what is wrong with its arguments', async () => {
    await expect(client.isLocked('a b')).rejects.toBeInstanceOf(LockKeyError);
    await expect(client.isLocked(['a'] as never)).rejects.toBeInstanceOf(LockKeyError);
    await expect(client.isLocked('a', { limit: 0 })).rejects.toBeInstanceOf(ConfigError);
    await expect(client.isLocked('a', { kind: 'sem' } as never)).rejects.toThrow('option kind is unknown');
    await expect(client.isLocked('a', null as never)).rejects.toThrow('option options: expected an object');
    expect(backend.asked).toEqual([]);
  });

  it('passes on what the backend says of it, with the key as the caller wrote it', async () => {
    backend.answer = () => Promise.reject(new LockUnavailableError('away', { key: 'n:a' }));
    await expect(client.isLocked('a')).rejects.toMatchObject({ code: 'UNAVAILABLE', key: 'a' });
  });

  it('ends with the client', async () => {
    await client.close();
    await expect(client.isLocked('a')).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
  });
});
