import { AsyncLocalStorage } from 'node:async_hooks';
import { expect, it } from '@jest/globals';
// @ts-expect-error -- plain JavaScript, for jest
import Environment from './environment.mjs';

it('leaves no AsyncLocalStorage of a spec file to the files that follow in the same worker', async () => {
  const before = new AsyncLocalStorage<string>();
  before.enterWith('kept');
  const environment: { teardown(): Promise<void> } = new Environment(
    { projectConfig: { testEnvironmentOptions: {} } },
    {},
  );
  const during = new AsyncLocalStorage<string>();
  during.enterWith('left behind');
  expect(during.getStore()).toBe('left behind');

  await environment.teardown();
  expect(during.getStore()).toBeUndefined();
  expect(before.getStore()).toBe('kept');
});
