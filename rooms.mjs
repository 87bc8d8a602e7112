const words = (text) => text.split(' ').filter(Boolean);
const room = (imports, uses = '') => ({ imports: words(imports), uses: words(uses) });

/**
 * The rooms of lib, in the order in which one can read them: every folder that has files of its own, the rooms it imports
 * from, and the packages and modules of Node that it uses. The graph has no cycle. Lint refuses an import that is not
 * listed, test/unit/rooms.spec.ts an entry that nobody needs; coverage, the compiled copies of lib in tests and the
 * documentation read this file as well.
 *
 * @type {Readonly<Record<string, { imports: readonly string[], uses: readonly string[] }>>}
 */
export const ROOMS = {
  common: room('', 'node:crypto node:net node:os node:perf_hooks node:timers node:util'),
  protocol: room('common'),
  core: room('common protocol'),
  daemon: room(
    'common protocol core',
    'node:cluster node:crypto node:dns/promises node:fs node:net node:os node:path node:stream node:tls',
  ),
  backends: room('common'),
  'backends/dflockd/lanes': room('common protocol', 'node:net node:tls'),
  'backends/dflockd/lines': room('common protocol backends/dflockd/lanes'),
  'backends/dflockd': room('common protocol backends backends/dflockd/lanes backends/dflockd/lines', 'node:tls'),
  'backends/embedded': room('common protocol core daemon backends'),
  'locks/options': room(
    'common protocol backends backends/dflockd/lanes backends/dflockd backends/embedded',
    'node:crypto',
  ),
  'locks/lease': room('common backends'),
  'locks/events': room('common backends', 'rxjs'),
  'locks/handle': room('common backends locks/options locks/lease locks/events', 'node:async_hooks node:stream rxjs'),
  'locks/acquire': room('common protocol backends locks/options locks/lease locks/events locks/handle'),
  'locks/tickets': room('common backends locks/options locks/lease locks/handle locks/acquire'),
  'locks/signals': room('common protocol backends locks/options', 'rxjs'),
  locks: room(
    'common protocol backends locks/options locks/lease locks/events locks/handle locks/acquire ' +
      'locks/tickets locks/signals',
    'rxjs',
  ),
  'dropin/dflockd-client': room(
    'common protocol backends locks/options locks/lease locks/handle locks/signals',
    'node:net node:string_decoder node:tls',
  ),
  'nest/shared': room('common', '@nestjs/core'),
  'nest/errors': room('common nest/shared', '@nestjs/common @nestjs/core node:http reflect-metadata rxjs'),
  'nest/methods': room(
    'common locks/options locks/handle locks/acquire locks nest/shared',
    '@nestjs/common @nestjs/core node:stream node:util reflect-metadata rxjs',
  ),
  'nest/requests': room(
    'common nest/shared nest/methods',
    '@nestjs/common @nestjs/core node:async_hooks node:http node:stream node:util reflect-metadata rxjs',
  ),
  'nest/boot': room(
    'common nest/shared nest/errors nest/methods nest/requests',
    '@nestjs/common @nestjs/core reflect-metadata',
  ),
  nest: room(
    'common protocol backends locks/options locks/events locks/handle locks/acquire locks/tickets ' +
      'locks/signals locks nest/shared nest/errors nest/methods nest/requests nest/boot',
    '@nestjs/common @nestjs/core rxjs',
  ),
  'nest/decorators': room('common locks/options nest/shared nest/methods nest/requests nest', '@nestjs/common'),
  testing: room(
    'common protocol backends backends/embedded locks/options locks/handle locks/acquire locks ' +
      'nest/shared nest/methods nest',
    '@nestjs/common',
  ),
  cli: room('common daemon', 'node:fs node:stream node:v8'),
  entries: room(
    'common protocol daemon backends backends/dflockd/lanes backends/embedded locks/options ' +
      'locks/events locks/handle locks/acquire locks/tickets locks/signals locks dropin/dflockd-client ' +
      'nest/errors nest/methods nest/requests nest nest/decorators testing',
  ),
};

/** The rooms whose branches `npm run coverage` measures, with all that is in them. */
export const COVERED = ['core', 'backends', 'locks'];

/**
 * Files that import each other's types: a hold belongs to a session, and a session has holds. Nothing else in lib goes in
 * circles, and no import of a value does.
 *
 * @type {readonly (readonly string[])[]}
 */
export const TYPE_CYCLES = [['core/resource', 'core/session']];

/** The room of a file, given as its path under lib. */
export const roomOf = (file) => file.split('/').slice(0, -1).join('/');

const isNest = (name) => name.startsWith('@nestjs/');

/** Whether a room uses Nest itself. */
export const usesNest = (room) => ROOMS[room].uses.some(isNest);

const reachesNest = (room) => usesNest(room) || ROOMS[room].imports.some(reachesNest);

/** The rooms that work without Nest. */
export const ROOMS_WITHOUT_NEST = Object.keys(ROOMS).filter((room) => !reachesNest(room));
