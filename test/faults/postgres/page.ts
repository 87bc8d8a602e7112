import { where, writePart } from '../report/part.js';
import type { PostgresRow } from './outcome.js';

const BEGIN = '<!-- postgres: written by `npm run faults -- --backend postgres --write` -->';
const END = '<!-- /postgres -->';

/** Puts what was measured on Postgres into the page. */
export const writePostgresTable = (rows: readonly PostgresRow[]): Promise<void> => writePart(BEGIN, END, table(rows));

function table(rows: readonly PostgresRow[]): string {
  const lines = rows.map(({ fault, promise, locks, told, rival, lead, violations }) => {
    const verdict = violations.length === 0 ? 'kept' : `**broken ${violations.length} times**`;
    return `| ${[fault, promise, locks, told, rival, lead, verdict].join(' | ')} |`;
  });
  return [
    '| fault while holding | promised | locks | holder told after | rival in after | who knew first | |',
    '|---|---|---|---|---|---|---|',
    ...lines,
    '',
    `(${where()})`,
    '',
  ].join('\n');
}
