import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

/** Absolute: other configurations extend this one, for copies of the tests. */
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** @type {import('jest').Config} */
export default {
  testEnvironment: here('./test/support/jest/environment.mjs'),
  testSequencer: here('./test/support/jest/sequencer.mjs'),
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.spec.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  setupFiles: ['reflect-metadata'],
  // Longer than the waits of tests, which report what they waited for.
  testTimeout: 30_000,
  workerIdleMemoryLimit: '500MB',
  // Much of the suite waits for sockets and leases, which keeps no core busy.
  maxWorkers: availableParallelism() + 4,
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
          keepClassNames: true,
          target: 'es2023',
        },
        module: { type: 'es6' },
      },
    ],
  },
};
