import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';

const PAGE = new URL('../../docs/reliability.md', import.meta.url);
const BEGIN = '<!-- attacked: written by `npm run attack -- --write` -->';
const END = '<!-- /attacked -->';
const HEAD = ['| attack | other clients, and the daemon | |', '|---|---|---|'];

/** `strict`: whether the p99 is within its bound even if it is compared with that on an otherwise idle machine. */
function verdict({ violations, strict = true, judged = true }) {
  if (violations.length > 0) return `**broken**: ${violations[0].split('\n')[0]}`;
  if (!judged) return 'kept, but for the p99, which was not judged';
  return strict ? 'kept' : 'kept on a machine as busy; **not kept** against an idle one';
}

const line = (row) => `| ${row.name} | ${row.said} | ${verdict(row)} |`;

const foot = `Node ${process.version}, ${cpus().length} cores`;

export const table = (rows, minutes) =>
  [...HEAD, ...rows.map(line), '', `${minutes.toFixed(1)} minutes (${foot})`].join('\n');

/** Puts what was measured into the page. Attacks that were not run keep the lines they have. */
export async function writePage(rows) {
  const page = await readFile(PAGE, 'utf8');
  const [head, rest] = page.split(BEGIN);
  const [old, tail] = rest?.split(END) ?? [];
  if (tail === undefined) throw new Error(`${PAGE.pathname} has no part between ${BEGIN} and ${END}`);
  const lines = new Map(
    old
      .split('\n')
      .filter((text) => text.startsWith('| ') && text !== HEAD[0])
      .map((text) => [text.split(' | ')[0].slice(2), text]),
  );
  for (const row of rows) lines.set(row.name, line(row));
  await writeFile(PAGE, `${head}${BEGIN}\n\n${[...HEAD, ...lines.values()].join('\n')}\n\n${foot}\n\n${END}${tail}`);
}
