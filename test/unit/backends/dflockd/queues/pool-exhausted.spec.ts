import { describe, expect, it } from '@jest/globals';
import { exhausted } from '../../../../../lib/backends/dflockd/queues/pool-exhausted.js';

const server = 'host:6388';

describe('a PoolExhaustedError', () => {
  it('names the option, the server and the key', () => {
    const pool = { server, config: { maxWaitLanes: 7 } };
    expect(exhausted(pool, 'k', 'the server is full')).toMatchObject({
      message: 'the server is full',
      key: 'k',
      server,
    });
    expect(exhausted(pool, 'k', undefined)).toMatchObject({
      code: 'POOL_EXHAUSTED',
      message: 'all 7 wait lanes to host:6388 are in use (option remote.maxWaitLanes)',
      key: 'k',
      server,
    });
  });
});
