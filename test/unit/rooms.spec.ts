import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
// @ts-expect-error -- plain JavaScript, for lint
import * as listed from '../../rooms.mjs';
// @ts-expect-error -- plain JavaScript, for lint
import * as lint from '../../scripts/lint/room-imports.mjs';
// @ts-expect-error -- plain JavaScript, a script
import * as entries from '../../scripts/exports.mjs';
// @ts-expect-error -- plain JavaScript, a script
import * as printed from '../../scripts/rooms.mjs';
import { cyclesIn, type Import, type ModuleGraph, reached, readModuleGraph } from '../support/module-graph.js';

const { HOLDS, ROOMS, ROOMS_WITHOUT_NEST, TYPE_CYCLES, roomOf } = listed as {
  HOLDS: Record<string, string>;
  ROOMS: Record<string, { imports: string[]; uses: string[] }>;
  ROOMS_WITHOUT_NEST: string[];
  TYPE_CYCLES: string[][];
  roomOf: (file: string) => string;
};
const { faultOf } = lint as { faultOf: (file: string, source: string) => string | undefined };
const { ENTRIES, exportsOf, typesVersionsOf } = entries as {
  ENTRIES: string[];
  exportsOf: (entries: string[]) => unknown;
  typesVersionsOf: (entries: string[]) => unknown;
};

const { withRooms } = printed as { withRooms: (page: string) => string };

const graph = readModuleGraph();
const sorted = (names: Iterable<string>): string[] => [...new Set(names)].sort();

describe('the rooms of lib', () => {
  it('are the folders that have files', () => {
    expect(sorted(Object.keys(ROOMS))).toEqual(sorted([...graph.keys()].map((file) => roomOf(file))));
  });

  it.each(Object.keys(ROOMS))('%s imports from what it lists, and from all of that', (room) => {
    const imports = [...graph].flatMap(([file, all]) => (roomOf(file) === room ? all : []));
    const rooms = imports.flatMap(({ file }) => (file === undefined ? [] : [roomOf(file)]));
    const packages = imports.flatMap(({ file, source }) => (file === undefined ? [source] : []));
    expect({ rooms: sorted(rooms.filter((one) => one !== room)), packages: sorted(packages) }).toEqual({
      rooms: sorted(ROOMS[room]!.imports),
      packages: sorted(ROOMS[room]!.uses),
    });
  });

  it('are listed in an order in which each comes after those it imports from', () => {
    const order = Object.keys(ROOMS);
    const early = order.filter((room, i) => ROOMS[room]!.imports.some((other) => order.indexOf(other) >= i));
    expect(early).toEqual([]);
  });

  it('have no file in a circle of imports but for the types that are listed', () => {
    expect(cyclesIn(graph, false)).toEqual([]);
    expect(sorted(cyclesIn(graph, true).map(String))).toEqual(
      sorted(TYPE_CYCLES.map((one) => String([...one].sort()))),
    );
  });

  it('each say in HOLDS what they hold', () => {
    expect(sorted(Object.keys(HOLDS))).toEqual(sorted(Object.keys(ROOMS)));
  });

  it('stand in docs/architecture.md; otherwise: npm run rooms', () => {
    const page = readFileSync('docs/architecture.md', 'utf8');
    expect(page).toBe(withRooms(page));
  });

  it('are free of Nest up to the drop-in, the command line and the tests of backends included', () => {
    expect(ROOMS_WITHOUT_NEST).toEqual(expect.arrayContaining(['common', 'locks', 'dropin/dflockd-client', 'cli']));
    expect(ROOMS_WITHOUT_NEST.filter((room) => /^(nest|testing|entries)/.test(room))).toEqual([
      'testing/backend',
      'entries/testing',
    ]);
  });
});

describe('lint', () => {
  it.each([
    ['core/engine', '../locks/lock-client.js', 'lib/core does not import from lib/locks (rooms.mjs)'],
    ['locks/lease/lease', '../handle/hold.js', 'lib/locks/lease does not import from lib/locks/handle (rooms.mjs)'],
    ['locks/lease/lease', 'rxjs', 'lib/locks/lease does not use rxjs (rooms.mjs)'],
    ['locks/handle/hold', '@nestjs/common/interfaces', 'lib/locks/handle does not use @nestjs/common (rooms.mjs)'],
    ['core/engine', 'node:net', 'lib/core does not use node:net (rooms.mjs)'],
    ['daemons/engine', './x.js', 'lib/daemons is no room: rooms.mjs does not list it'],
    ['core/engine', './granting.js', undefined],
    ['core/engine', '../protocol/limits.js', undefined],
    ['nest/dflockd.module', '@nestjs/common', undefined],
  ])('of %s importing %s: %s', (file, source, fault) => {
    expect(faultOf(`${file}.ts`, source)).toBe(fault);
  });
});

/** What must not be loaded with an entry: rooms, with all that is in them, and packages. */
const KEPT_APART: Record<string, readonly (string | RegExp)[]> = {
  index: [/^(dropin|cli|testing)(\/|$)/, /^backends\/(redis|postgres)/, 'transactions', /^@nestjs\/(?!common$|core$)/],
  client: [
    /^(nest|cli|testing)(\/|$)/,
    /^backends\/(redis|postgres)/,
    'transactions',
    /^@nestjs\//,
    'reflect-metadata',
  ],
  daemon: [/^(nest|cli|testing|locks|backends|dropin)(\/|$)/, /^@nestjs\//, 'reflect-metadata', 'rxjs'],
  lockd: [/^(nest|cli|testing|locks|backends)(\/|$)/, /^@nestjs\//, 'reflect-metadata', 'rxjs'],
  redis: [/^(nest|cli|testing|locks|core|daemon|protocol)(\/|$)/, /^@nestjs\//, 'reflect-metadata', 'rxjs'],
  postgres: [
    /^(nest|cli|testing|core|daemon|protocol|locks(?!\/options$)|backends\/(?!postgres))(\/|$)/,
    /^@nestjs\//,
    'reflect-metadata',
    'rxjs',
  ],
  'testing/backend': [
    /^(nest|cli|dropin)(\/|$)/,
    /^backends\/(redis|postgres)/,
    'transactions',
    /^@nestjs\//,
    'reflect-metadata',
  ],
  testing: [/^(dropin|cli)(\/|$)/, /^backends\/(redis|postgres)/, 'transactions', /^@nestjs\/(?!common$|core$)/],
};
/** What users have installed anyway, and what this package asks them to install. */
const PEERS = ['@nestjs/common', '@nestjs/core', 'reflect-metadata', 'rxjs'];

describe('the entries', () => {
  it.each(ENTRIES)('%s loads nothing that its users do not need', (entry) => {
    const { files, packages } = reached(graph, `entries/${entry}`);
    const rooms = sorted([...files].map((file) => roomOf(file)));
    const apart = KEPT_APART[entry];
    expect(apart).toBeDefined();
    expect([...rooms, ...packages].filter((name) => apart!.some((one) => matches(name, one)))).toEqual([]);
    expect(sorted(packages).filter((name) => !name.startsWith('node:') && !PEERS.includes(name))).toEqual([]);
  });

  it('are what package.json exports; otherwise: npm run exports', () => {
    const { exports, typesVersions } = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, unknown>;
    expect({ exports, typesVersions }).toEqual({
      exports: exportsOf(ENTRIES),
      typesVersions: typesVersionsOf(ENTRIES),
    });
  });
});

const matches = (name: string, one: string | RegExp): boolean =>
  typeof one === 'string' ? name === one : one.test(name);

describe('the module graph', () => {
  const value = (file: string): Import => ({ source: `./${file}.js`, file, isType: false });
  const type = (file: string): Import => ({ ...value(file), isType: true });

  it('finds circles, with and without those of types', () => {
    const made: ModuleGraph = new Map([
      ['a', [value('b'), value('d')]],
      ['b', [value('c')]],
      ['c', [value('a')]],
      ['d', [type('e')]],
      ['e', [value('d')]],
    ]);
    expect(cyclesIn(made, false)).toEqual([['a', 'b', 'c']]);
    expect(cyclesIn(made, true)).toEqual([['d', 'e'], ['a', 'b', 'c']]); // prettier-ignore
    expect([...reached(made, 'b').files]).toEqual(['b', 'c', 'a', 'd']);
  });
});
