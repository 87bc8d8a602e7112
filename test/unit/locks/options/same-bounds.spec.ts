import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { LockClient } from '../../../../lib/locks/lock-client.js';
import { resolveOptions } from '../../../../lib/locks/options/resolve-options.js';
import { planOf } from '../../../../lib/nest/methods/lock-plan.js';
import { CronLock } from '../../../../lib/nest/decorators/cron-lock.decorator.js';
import { LockRequest } from '../../../../lib/nest/decorators/lock-request.decorator.js';
import { TestLocks } from '../../../../lib/testing/test-locks.js';

let client: LockClient;
beforeAll(async () => void (client = await LockClient.connect({ embedded: true })));
afterAll(() => client.close());

/** What a place says of an option's value: nothing, or what it expects. */
const said = async (place: () => unknown): Promise<string> => {
  try {
    await place();
    return 'taken';
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code} ${/option .*/.exec(message)?.[0] ?? message}`;
  }
};

const decorate = (decorator: MethodDecorator) => {
  class A {
    async m(): Promise<void> {}
  }
  decorator(A.prototype, 'm', Object.getOwnPropertyDescriptor(A.prototype, 'm')!);
};

let calls = 0;
type Place = (option: string, value: unknown) => unknown;
const call = (option: string, value: unknown) =>
  // A key of its own: what has a minimum hold stays locked.
  client.withLock(`k${calls++}`, { acquireTimeoutS: 0, [option]: value } as object, () => undefined);
const places: Record<string, [place: Place, options: readonly string[]]> = {
  '@WithLock': [
    (option, value) => planOf('@WithLock', 'A.m', 'k', { [option]: value }),
    ['acquireTimeoutS', 'leaseTtlS', 'limit', 'minHoldS'],
  ],
  '@CronLock': [
    (option, value) => decorate(CronLock<any, any>('k', { minHoldS: 1, [option]: value })),
    ['leaseTtlS', 'minHoldS'],
  ],
  '@LockRequest': [
    (option, value) => decorate(LockRequest(() => 'k', { [option]: value })),
    ['acquireTimeoutS', 'leaseTtlS', 'limit'],
  ],
  'the module': [(option, value) => resolveOptions({ [option]: value }), ['acquireTimeoutS', 'leaseTtlS']],
  TestLocks: [(option, value) => new TestLocks({ [option]: value }).close(), ['acquireTimeoutS', 'leaseTtlS']],
};
const values: Record<string, readonly number[]> = {
  acquireTimeoutS: [0, 2_147_483, 2_147_483.5, -1, NaN, Infinity],
  leaseTtlS: [1, 2_147_482, 0, 2_147_483, Infinity],
  minHoldS: [0, 20 * 86_400, 30 * 86_400, 365 * 86_400, -1, Infinity],
  limit: [1, 1_048_576, 1_048_577, 2_000_000, 0, 1.5],
};
const CASES = Object.entries(places).flatMap(([name, [, options]]) =>
  options.flatMap((option) => values[option]!.map((value) => [name, option, value] as const)),
);

describe('an option that every call would refuse is refused where it is written, and no other', () => {
  it.each(CASES)('%s { %s: %d }', async (name, option, value) => {
    expect(await said(() => places[name]![0](option, value))).toBe(await said(() => call(option, value)));
  });

  it('with the bounds that all have', async () => {
    expect(await said(() => call('minHoldS', 30 * 86_400))).toBe(
      'CONFIG option minHoldS: expected a number between 0 and 2147483, got 2592000',
    );
    expect(await said(() => call('limit', 2_000_000))).toBe(
      'CONFIG option limit: expected an integer between 1 and 1048576, got 2000000',
    );
  });
});
