// Mutation testing: does a test fail for each small change of the code? `npm run mutation -- --help` tells how.
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { FOLDER_NAMES, folderOf } from './mutation-folders.mjs';

const HELP = `npm run mutation -- --folder ${FOLDER_NAMES.join('|')} [options]

  --file NAME       only this file of the folder, without .ts, or some lines of it: NAME:1-80 (may be repeated)
  --specs REGEXP    only the specs with such names: quicker, and the score a lower bound
  --workers N       how many mutants at once (default 2)
  --force           also the mutants whose fate an earlier run has found
  --help

Results are kept in .stryker, also as a page: .stryker/FOLDER.html.
`;

const { values: options } = parseArgs({
  options: {
    folder: { type: 'string' },
    file: { type: 'string', multiple: true, default: [] },
    specs: { type: 'string', default: '' },
    workers: { type: 'string', default: '2' },
    force: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function run() {
  folderOf(options.folder);
  const args = ['node_modules/@stryker-mutator/core/bin/stryker.js', 'run'];
  const files = options.file.map((name) => {
    const [file, lines] = name.split(':');
    return `lib/${options.folder}/${file}.ts${lines ? `:${lines}` : ''}`;
  });
  if (files.length > 0) args.push('--mutate', files.join(','));
  if (options.force) args.push('--force');
  const { status } = spawnSync(process.execPath, args, {
    cwd: dirname(dirname(fileURLToPath(import.meta.url))),
    env: {
      ...process.env,
      MUTATION_FOLDER: options.folder,
      MUTATION_WORKERS: options.workers,
      MUTATION_SPECS: options.specs,
      TEST_PATIENCE_MS: '1000',
    },
    stdio: 'inherit',
  });
  return status ?? 1;
}

if (options.help) process.stdout.write(HELP);
else process.exitCode = run();
