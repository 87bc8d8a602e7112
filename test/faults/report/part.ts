import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';

const PAGE = 'docs/reliability.md';

/** Replaces what docs/reliability.md has between two lines. */
export async function writePart(begin: string, end: string, text: string): Promise<void> {
  const page = await readFile(PAGE, 'utf8');
  const [head, rest] = page.split(begin);
  const tail = rest?.split(end)[1];
  if (tail === undefined) throw new Error(`${PAGE} has no part between ${begin} and ${end}`);
  await writeFile(PAGE, `${head}${begin}\n\n${text}\n${end}${tail}`);
}

/** On what it was measured. */
export const where = (): string => `Node ${process.version}, ${cpus().length} cores`;
