import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import type { Row } from '../table/row.js';
import type { Tally } from './tally.js';
import { timeline } from './timeline.js';

const PAGE = 'docs/reliability.md';
const PICTURE = 'docs/reliability.svg';
const BEGIN = '<!-- measured: written by `npm run faults -- --write` -->';
const END = '<!-- /measured -->';

/** Puts what was measured into the page, and draws the timeline. */
export async function writePage(rows: readonly Row[], tally: Tally): Promise<void> {
  const page = await readFile(PAGE, 'utf8');
  const [head, rest] = page.split(BEGIN);
  const tail = rest?.split(END)[1];
  if (tail === undefined) throw new Error(`${PAGE} has no part between ${BEGIN} and ${END}`);
  await writeFile(PAGE, `${head}${BEGIN}\n\n${measured(rows, tally)}\n${END}${tail}`);
  const picture = timeline(rows);
  if (picture) await writeFile(PICTURE, picture);
}

function measured(rows: readonly Row[], tally: Tally): string {
  const lines = rows.map(({ fault, promise, runs, measured, violations }) => {
    const verdict = violations.length === 0 ? 'kept' : `**broken ${violations.length} times**`;
    return `| ${fault} | ${promise} | ${runs} | ${measured} | ${verdict} |`;
  });
  const where = `Node ${process.version}, ${cpus().length} cores`;
  return [
    '| fault while holding | promised | runs | measured (median, and worst) | |',
    '|---|---|---|---|---|',
    ...lines,
    '',
    `${tally.summary()} (${where})`,
    '',
  ].join('\n');
}
