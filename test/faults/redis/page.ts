import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { CONTESTANTS } from './holders/holder.js';
import type { RedisRow } from './outcome.js';

const PAGE = 'docs/reliability.md';
const BEGIN = '<!-- redis: written by `npm run faults -- --backend redis --write` -->';
const END = '<!-- /redis -->';

/** Puts what was measured on Redis into the page. */
export async function writeRedisTable(rows: readonly RedisRow[]): Promise<void> {
  const page = await readFile(PAGE, 'utf8');
  const [head, rest] = page.split(BEGIN);
  const tail = rest?.split(END)[1];
  if (tail === undefined) throw new Error(`${PAGE} has no part between ${BEGIN} and ${END}`);
  await writeFile(PAGE, `${head}${BEGIN}\n\n${table(rows)}\n${END}${tail}`);
}

function table(rows: readonly RedisRow[]): string {
  const lines = rows.map(({ fault, promise, locks, cells, violations }) => {
    const verdict = violations.length === 0 ? 'kept' : `**broken ${violations.length} times**`;
    const measured = CONTESTANTS.map((contestant) => cells.get(contestant) ?? '–');
    return `| ${[fault, promise, locks, ...measured, verdict].join(' | ')} |`;
  });
  return [
    '| fault while holding | promised by this package | locks | this package | with `watch` | redis-semaphore | redlock | |',
    '|---|---|---|---|---|---|---|---|',
    ...lines,
    '',
    `(Node ${process.version}, ${cpus().length} cores)`,
    '',
  ].join('\n');
}
