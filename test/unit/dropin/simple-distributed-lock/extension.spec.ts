import { expect, it } from '@jest/globals';
import { Extension } from '../../../../lib/dropin/simple-distributed-lock/extension.js';
import { Deferred } from '../../../../lib/common/deferred.js';
import { FakeClock } from '../../../support/fake-clock.js';

it('extends at each half of the lease, and never twice at once', async () => {
  const clock = new FakeClock();
  const asked: Deferred<boolean>[] = [];
  const extend = (): Promise<boolean> => {
    asked.push(new Deferred());
    return asked.at(-1)!.promise;
  };
  const extension = new Extension(1000, extend, () => undefined, clock);
  await clock.advanceAsync(499);
  expect(asked).toHaveLength(0);
  await clock.advanceAsync(1);
  expect(asked).toHaveLength(1);
  await clock.advanceAsync(1700);
  expect(asked).toHaveLength(1);
  asked[0]!.resolve(true);
  await clock.advanceAsync(300);
  expect(asked).toHaveLength(2);
  asked[1]!.reject(new Error('the connection is lost'));
  await clock.advanceAsync(500);
  expect(asked).toHaveLength(3);
  extension.stop();
  asked[2]!.resolve(true);
  await clock.advanceAsync(5000);
  expect(asked).toHaveLength(3);
});

it('ends when the lock is lost, and says so once', async () => {
  const clock = new FakeClock();
  let asked = 0;
  let ended = 0;
  const extension = new Extension(
    1000,
    async () => ++asked < 2,
    () => ended++,
    clock,
  );
  await clock.advanceAsync(1000);
  expect([asked, ended]).toEqual([2, 1]);
  await clock.advanceAsync(5000);
  extension.stop();
  expect([asked, ended]).toEqual([2, 1]);
});
