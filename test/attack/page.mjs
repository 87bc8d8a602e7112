import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';

const PAGE = new URL('../../docs/reliability.md', import.meta.url);
const BEGIN = '<!-- attacked: written by `npm run attack -- --write` -->';
const END = '<!-- /attacked -->';

export function table(rows, minutes) {
  return [
    '| attack | other clients, and the daemon | |',
    '|---|---|---|',
    ...rows.map(
      ({ name, said, violations }) => `| ${name} | ${said} | ${violations.length > 0 ? '**broken**' : 'kept'} |`,
    ),
    '',
    `${minutes.toFixed(1)} minutes (Node ${process.version}, ${cpus().length} cores)`,
  ].join('\n');
}

/** Puts what was measured into the page. */
export async function writePage(rows, minutes) {
  const page = await readFile(PAGE, 'utf8');
  const [head, rest] = page.split(BEGIN);
  const tail = rest?.split(END)[1];
  if (tail === undefined) throw new Error(`${PAGE.pathname} has no part between ${BEGIN} and ${END}`);
  await writeFile(PAGE, `${head}${BEGIN}\n\n${table(rows, minutes)}\n\n${END}${tail}`);
}
