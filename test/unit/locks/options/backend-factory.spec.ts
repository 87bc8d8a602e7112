import { describe, expect, it } from '@jest/globals';
import { EmbeddedBackend } from '../../../../lib/backends/embedded/embedded.js';
import { RemoteBackend } from '../../../../lib/backends/dflockd/remote.js';
import { makeBackend } from '../../../../lib/locks/options/backend-factory.js';
import { resolveOptions } from '../../../../lib/locks/options/resolve-options.js';
import { FakeClock, FakeEntropy } from '../../../support/fake-clock.js';
import { FakeBackend } from '../support/fake-backend.js';

describe('the backend that options name', () => {
  it('is the one', () => {
    const own = new FakeBackend();
    const make = (options: Parameters<typeof resolveOptions>[0]) =>
      makeBackend(resolveOptions(options).backend, new FakeClock(), new FakeEntropy());
    expect(make({})).toBeInstanceOf(RemoteBackend);
    expect(make({ embedded: true })).toBeInstanceOf(EmbeddedBackend);
    expect(make({ backend: own })).toBe(own);
  });
});
