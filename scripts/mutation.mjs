// Mutation testing: does a test fail for each small change of the code? See `npm run mutation -- --help`.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { forgetLeftOver } from './mutation/left-over.mjs';
import { FOLDER_NAMES, folderOf } from './mutation-folders.mjs';

const HELP = `npm run mutation -- --folder ${FOLDER_NAMES.join('|')} [options]

  --file TEXT       only the files of that name, without .ts (may be repeated); options/keys:1-40 for some lines
                    '*' for those in no subfolder, 'queues/*' for those of one
  --workers N       how many mutants run at once (default 2)
  --minutes N       stop after N minutes; the next run continues
  --force           also run the mutants that an earlier run has judged
  --help

Results are stored in .stryker; .stryker/FOLDER.html shows them as a page.
`;

const { values: options } = parseArgs({
  options: {
    folder: { type: 'string' },
    file: { type: 'string', multiple: true, default: [] },
    workers: { type: 'string', default: '2' },
    minutes: { type: 'string', default: 'Infinity' },
    force: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function run() {
  folderOf(options.folder);
  const args = ['node_modules/@stryker-mutator/core/bin/stryker.js', 'run'];
  // options/keys:1-40 → lib/locks/options/keys.ts:1-40
  const files = options.file.map((name) => `lib/${options.folder}/${name.replace(/(?=:|$)/, '.ts')}`);
  if (files.length > 0) args.push('--mutate', files.join(','));
  if (options.force) args.push('--force');
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const { status } = spawnSync(process.execPath, args, {
    cwd: root,
    env: {
      ...process.env,
      MUTATION_FOLDER: options.folder,
      MUTATION_WORKERS: options.workers,
      MUTATION_UNTIL: String(Date.now() + Number(options.minutes) * 60_000),
    },
    stdio: 'inherit',
  });
  const left = forgetLeftOver(join(root, `.stryker/${options.folder.replaceAll('/', '-')}.json`));
  if (left > 0) process.stdout.write(`${left} mutants are left for the next run; they count as survivors above.\n`);
  return status ?? 1;
}

if (options.help) process.stdout.write(HELP);
else process.exitCode = run();
