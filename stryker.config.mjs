import { folderOf } from './scripts/mutation-folders.mjs';

const folder = process.env.MUTATION_FOLDER;
folderOf(folder);
const results = `.stryker/${folder.replaceAll('/', '-')}`;

/** Used by `npm run mutation -- --folder NAME`. @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  mutate: [`lib/${folder}/**/*.ts`],
  testRunner: 'in-process',
  plugins: ['./scripts/mutation/runner.mjs'],
  coverageAnalysis: 'perTest',
  // A mutant that takes longer counts as hanging; long enough for a slow machine.
  timeoutMS: Number(process.env.MUTATION_TIMEOUT_MS ?? 4000),
  concurrency: Number(process.env.MUTATION_WORKERS ?? 2),
  incremental: true,
  incrementalFile: `${results}.json`,
  tempDirName: '.stryker/tmp',
  reporters: ['clear-text', 'json', 'html'],
  clearTextReporter: { allowColor: false, allowEmojis: false, logTests: false, reportTests: false },
  jsonReporter: { fileName: `${results}-report.json` },
  htmlReporter: { fileName: `${results}.html` },
  ignorePatterns: ['/dist', '/coverage', '/sample', '/docs', '/bench', '/test/e2e', '/test/faults'],
  thresholds: { high: 95, low: 85, break: null },
  allowConsoleColors: false,
};
