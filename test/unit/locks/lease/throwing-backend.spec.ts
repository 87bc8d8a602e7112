import { describe, expect, it } from '@jest/globals';
import { ProtocolError } from '../../../../lib/common/errors.js';
import { LeaseKeeper } from '../../../../lib/locks/lease/lease-keeper.js';
import { FakeClock, FakeEntropy } from '../../../support/fake-clock.js';
import { FakeBackend } from '../support/fake-backend.js';

describe('a renewal whose backend throws', () => {
  it('is over: the next one does not wait for it', async () => {
    const clock = new FakeClock({ now: 1000 });
    const backend = new FakeBackend(clock);
    const keeper = new LeaseKeeper(backend, clock, new FakeEntropy(), 0.5);
    const req = { key: 'k', kind: 'lock', limit: 1, leaseMs: 10_000, deadline: Infinity } as const;
    const lease = keeper.keep(backend.grantFor(req), 10_000, 'auto');
    const { renew } = backend;
    backend.renew = () => {
      throw new ProtocolError('broken');
    };
    await expect(lease.renew()).rejects.toThrow('broken');
    // A renewal that seemed to be under way for ever made the next one spin.
    expect(lease.underWay).toBeUndefined();
    backend.renew = renew;
    expect(await lease.renew()).toBeGreaterThan(0);
    keeper.close();
  });
});
