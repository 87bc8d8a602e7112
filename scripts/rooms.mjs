// Writes the rooms of lib (rooms.mjs) into docs/architecture.md. Prints nothing.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HOLDS, ROOMS } from '../rooms.mjs';

const PAGE = join(fileURLToPath(new URL('..', import.meta.url)), 'docs/architecture.md');
const [OPEN, CLOSE] = ['<!-- rooms: written by `npm run rooms` -->', '<!-- /rooms -->'];

const list = (names) => names.join(', ') || '–';

/** The top folder of a room: `backends` for `backends/dflockd/lanes`. */
const topOf = (room) => room.split('/')[0];

/** The imports between the top folders of lib, without those that follow from others. */
const summary = () => {
  const tops = [...new Set(Object.keys(ROOMS).map(topOf))];
  const imported = (top) => {
    const rooms = Object.keys(ROOMS).filter((room) => topOf(room) === top);
    const others = new Set(rooms.flatMap((room) => ROOMS[room].imports.map(topOf)));
    return [...others].filter((other) => other !== top);
  };
  const reaches = (from, to) => imported(from).some((next) => next === to || reaches(next, to));
  const width = Math.max(...tops.map(({ length }) => length));
  return tops
    .map((top) => [top, imported(top).filter((other) => !imported(top).some((next) => reaches(next, other)))])
    .map(([top, others]) => `${top.padEnd(width)} → ${list(others)}`)
    .join('\n');
};

/** A row for each room, in the order of rooms.mjs. */
const table = () =>
  [
    '| room | holds | imports from | uses |',
    '|---|---|---|---|',
    ...Object.entries(ROOMS).map(
      ([room, { imports, uses }]) =>
        `| [${room}](../lib/${room}) | ${HOLDS[room]} | ${list(imports)} | ${list(uses)} |`,
    ),
  ].join('\n');

/** The page with the current rooms. @throws Error if it has no section for them */
export function withRooms(page) {
  const [before, rest] = page.split(OPEN);
  const after = rest?.split(CLOSE)[1];
  if (after === undefined) throw new Error(`docs/architecture.md has no section between ${OPEN} and ${CLOSE}`);
  return `${before}${OPEN}\n\n\`\`\`text\n${summary()}\n\`\`\`\n\n${table()}\n\n${CLOSE}${after}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PAGE, withRooms(readFileSync(PAGE, 'utf8')));
