import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { EmbeddedBackend } from '../../../lib/backends/embedded/embedded.js';
import { LimitMismatchError } from '../../../lib/common/errors.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import { resolveEmbedded } from '../../../lib/backends/embedded/options.js';
import { FakeClock, FakeEntropy } from '../../support/fake-clock.js';

let clock: FakeClock;
let client: LockClient;
beforeEach(async () => {
  clock = new FakeClock();
  const backend = new EmbeddedBackend(resolveEmbedded(true), clock, new FakeEntropy());
  client = await LockClient.connect({ backend, acquireTimeoutS: 1 }, { clock, entropy: new FakeEntropy() });
});
afterEach(() => client.close());

const use = async (key: string, limit: number): Promise<void> =>
  void (await (await client.acquire(key, { limit })).release());

it('the limit of a semaphore that nobody uses can be changed after a minute, as its error and the documents say', async () => {
  await use('gpu', 4);
  const error: unknown = await use('gpu', 8).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(LimitMismatchError);
  expect(error).toMatchObject({
    key: 'gpu',
    message:
      'the server has a different limit for this key, and keeps it until about a minute after its last use; to change a limit, use another key',
  });
  await clock.advanceAsync(59_000);
  await expect(use('gpu', 8)).rejects.toBeInstanceOf(LimitMismatchError);
  // What was refused has not counted as a use.
  await clock.advanceAsync(6_500);
  await use('gpu', 8);
});

it('another key has another limit at once', async () => {
  await use('gpu:4', 4);
  await use('gpu:8', 8);
});
