import base from './jest.config.mjs';

/** @type {import('jest').Config} */
export default {
  ...base,
  testMatch: ['<rootDir>/test/mutation/all.ts'],
  // What waits for ever is no longer waited for than this.
  testTimeout: 2000,
  testEnvironment: './test/mutation/environment.cjs',
};
