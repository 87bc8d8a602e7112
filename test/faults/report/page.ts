import { writeFile } from 'node:fs/promises';
import type { Row } from '../table/row.js';
import { where, writePart } from './part.js';
import type { Tally } from './tally.js';
import { timeline } from './timeline.js';

const PICTURE = 'docs/reliability.svg';
const BEGIN = '<!-- measured: written by `npm run faults -- --write` -->';
const END = '<!-- /measured -->';

/** Puts what was measured into the page, and draws the timeline. */
export async function writePage(rows: readonly Row[], tally: Tally): Promise<void> {
  await writePart(BEGIN, END, measured(rows, tally));
  const picture = timeline(rows);
  if (picture) await writeFile(PICTURE, picture);
}

function measured(rows: readonly Row[], tally: Tally): string {
  const lines = rows.map(({ fault, promise, runs, measured, violations }) => {
    const verdict = violations.length === 0 ? 'kept' : `**broken ${violations.length} times**`;
    return `| ${fault} | ${promise} | ${runs} | ${measured} | ${verdict} |`;
  });
  return [
    '| fault while holding | promised | runs | measured (median, and worst) | |',
    '|---|---|---|---|---|',
    ...lines,
    '',
    `${tally.summary()} (${where()})`,
    '',
  ].join('\n');
}
