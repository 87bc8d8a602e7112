import { afterEach, describe, expect, it } from '@jest/globals';
import { DflockdServer } from '../../../lib/daemon/server.js';
import { LockUnavailableError } from '../../../lib/common/errors.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import { freePort } from '../../support/free-port.mjs';
import { until } from '../../support/until.js';

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const daemon = async (): Promise<string> => {
  const server = new DflockdServer({ port: 0, shutdownTimeout: 0.1 });
  ends.push(() => server.close());
  const { host, port } = await server.listen();
  return `${host}:${port}`;
};
const connect = async (servers: readonly string[]): Promise<LockClient> => {
  const options = { servers, remote: { connectTimeoutMs: 500, fencing: 'token' }, shutdownTimeoutS: 0.1 } as const;
  const client = await LockClient.connect(options);
  ends.push(() => client.close());
  return client;
};

describe('capabilities', () => {
  it('are told when one of several servers is down', async () => {
    const client = await connect([await daemon(), `127.0.0.1:${await freePort()}`]);
    const known = await until(() => {
      try {
        return client.capabilities;
      } catch {
        return undefined;
      }
    }, 'the capabilities');
    expect(known).toMatchObject({ ownership: 'connection', fence: 'per-key', semaphores: true });
    expect(Object.isFrozen(known)).toBe(true);
  });

  it('are not told before any server has been reached', async () => {
    const client = await connect([`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`]);
    expect(() => client.capabilities).toThrow(LockUnavailableError);
  });
});
