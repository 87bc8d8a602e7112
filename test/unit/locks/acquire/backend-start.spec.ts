import { beforeEach, describe, expect, it } from '@jest/globals';
import { AuthError, LockUnavailableError, ServerDrainingError } from '../../../../lib/common/errors.js';
import { BackendStart } from '../../../../lib/locks/acquire/backend-start.js';
import { settlePromises } from '../../../support/fake-clock.js';
import { FakeBackend } from '../support/fake-backend.js';

let backend: FakeBackend;
let start: BackendStart;

beforeEach(() => {
  backend = new FakeBackend();
  start = new BackendStart(backend);
});

const away = async (): Promise<never> => Promise.reject(new LockUnavailableError('away'));

describe('the start of a backend', () => {
  it('happens once, however many ask for it', async () => {
    expect([start.isDecided, start.capabilities]).toEqual([false, undefined]);
    await Promise.all([start.run(), start.run()]);
    await start.run();
    expect(backend.log).toEqual(['start']);
    expect(start.isDecided).toBe(true);
    expect(start.capabilities).toEqual(backend.capabilities);
    expect(Object.isFrozen(start.capabilities)).toBe(true);
    expect(Object.isFrozen(backend.capabilities)).toBe(false);
    start.linkUp();
    expect(backend.log).toEqual(['start']);
  });

  it('that found no server is tried again by who asks next, and by a link', async () => {
    backend.onStart = away;
    await expect(start.run()).rejects.toThrow('away');
    expect([start.isDecided, start.capabilities]).toEqual([true, undefined]);
    await expect(start.run()).rejects.toThrow('away');
    // That it fails again is nobody's business.
    start.linkUp();
    await settlePromises();
    expect(backend.log).toEqual(['start', 'start', 'start']);
    backend.onStart = async () => backend.capabilities;
    start.linkUp();
    await settlePromises();
    expect(start.capabilities).toEqual(backend.capabilities);
    start.linkUp();
    expect(backend.log).toHaveLength(4);
  });

  it('that met what is transient goes on by itself, as one that found no server', async () => {
    backend.onStart = async () => Promise.reject(new ServerDrainingError());
    await expect(start.run()).rejects.toBeInstanceOf(ServerDrainingError);
    expect(start.isDecided).toBe(true);
    backend.onStart = async () => backend.capabilities;
    start.linkUp();
    await settlePromises();
    expect(start.capabilities).toEqual(backend.capabilities);
  });

  it('that was refused is tried again by who asks next, not by a link', async () => {
    backend.onStart = async () => Promise.reject(new AuthError());
    await expect(start.run()).rejects.toBeInstanceOf(AuthError);
    expect(start.isDecided).toBe(false);
    start.linkUp();
    expect(backend.log).toEqual(['start']);
    backend.onStart = async () => backend.capabilities;
    await start.run();
    expect([backend.log, start.isDecided]).toEqual([['start', 'start'], true]);
  });

  it('is not begun by a link: nobody has asked yet', () => {
    start.linkUp();
    expect(backend.log).toEqual([]);
  });
});
