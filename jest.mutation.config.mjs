import { fileURLToPath } from 'node:url';
import base from './jest.config.mjs';

/** @type {import('jest').Config} */
export default {
  ...base,
  testMatch: ['<rootDir>/test/mutation/all.ts'],
  // Not from the root of jest: StrykerJS looks for it itself.
  testEnvironment: fileURLToPath(new URL('test/mutation/environment.cjs', import.meta.url)),
  testTimeout: 2500,
};
