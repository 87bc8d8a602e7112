import { isBuiltin } from 'node:module';
import { posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { roomOf, ROOMS } from '../../rooms.mjs';

const lib = fileURLToPath(new URL('../../lib', import.meta.url));

/** What is wrong with importing `source` in a file of lib, given as its path there. */
export function faultOf(file, source) {
  const room = roomOf(file);
  const { imports, uses } = ROOMS[room] ?? { imports: [], uses: [] };
  if (!(room in ROOMS)) return `lib/${room} is no room: rooms.mjs does not list it`;
  if (!source.startsWith('.')) {
    const name = isBuiltin(source) || uses.includes(source) ? source : packageOf(source);
    return uses.includes(name) ? undefined : `lib/${room} does not use ${name} (rooms.mjs)`;
  }
  const other = roomOf(posix.join(posix.dirname(file), source));
  if (other === room || imports.includes(other)) return undefined;
  return `lib/${room} does not import from lib/${other} (rooms.mjs)`;
}

const packageOf = (source) =>
  source
    .split('/')
    .slice(0, source.startsWith('@') ? 2 : 1)
    .join('/');

/** @type {import('eslint').Rule.RuleModule} */
export const roomImports = {
  meta: { type: 'problem', docs: { description: 'rooms of lib import what rooms.mjs lists, and nothing else' } },
  create(context) {
    const file = relative(lib, context.filename).split(sep).join('/');
    const check = ({ source }) => {
      if (source?.type !== 'Literal') return;
      const message = faultOf(file, source.value);
      if (message) context.report({ node: source, message });
    };
    return {
      ImportDeclaration: check,
      ImportExpression: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
      TSImportType: check,
    };
  },
};
