import { where, writePart } from '../report/part.js';
import { CONTESTANTS } from './holders/holder.js';
import type { RedisRow } from './outcome.js';

const BEGIN = '<!-- redis: written by `npm run faults -- --backend redis --write` -->';
const END = '<!-- /redis -->';

/** Puts what was measured on Redis into the page. */
export const writeRedisTable = (rows: readonly RedisRow[]): Promise<void> => writePart(BEGIN, END, table(rows));

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
    `(${where()})`,
    '',
  ].join('\n');
}
