const words = (text) => text.split(' ').filter(Boolean);
const room = (imports, uses = '') => ({ imports: words(imports), uses: words(uses) });

/**
 * The rooms of lib, in reading order: every folder that contains files, the rooms it imports from, and the packages and
 * Node modules that it uses. The graph has no cycle. Lint refuses an import that is not listed, and
 * test/unit/rooms.spec.ts an entry that is not needed. Coverage, the compiled copies of lib in tests and the
 * documentation also read this file.
 *
 * @type {Readonly<Record<string, { imports: readonly string[], uses: readonly string[] }>>}
 */
export const ROOMS = {
  common: room('', 'node:crypto node:net node:os node:perf_hooks node:timers node:util'),
  protocol: room('common'),
  'protocol/lockd': room('common protocol'),
  core: room('common protocol'),
  'daemon/shared': room(
    'common protocol core',
    'node:cluster node:crypto node:dns/promises node:fs node:net node:os node:path node:stream',
  ),
  'daemon/fairness': room('common protocol core daemon/shared', 'node:stream'),
  'daemon/fences': room('common core daemon/shared', 'node:child_process node:fs node:path'),
  'daemon/tcp': room('common protocol core daemon/shared daemon/fairness', 'node:net node:stream node:tls'),
  'daemon/lockd': room('common protocol protocol/lockd core daemon/shared daemon/fairness', 'node:net'),
  'daemon/http/json': room('protocol'),
  'daemon/http/metrics': room('common protocol core'),
  'daemon/http/routing': room('daemon/http/json'),
  'daemon/http/answers': room('common core', 'node:http'),
  'daemon/http/exchange': room(
    'common core daemon/shared daemon/fairness daemon/http/metrics daemon/http/routing daemon/http/answers',
    'node:http node:net',
  ),
  'daemon/http/admission': room('common protocol daemon/shared daemon/http/answers daemon/http/exchange'),
  'daemon/http/sessions': room('common core daemon/fairness daemon/http/answers daemon/http/exchange'),
  'daemon/http/openapi': room('protocol daemon/http/answers'),
  'daemon/http/streams': room(
    'common core protocol daemon/fairness daemon/http/answers daemon/http/exchange daemon/http/sessions',
  ),
  'daemon/http/endpoints': room(
    'common core protocol daemon/fairness daemon/shared daemon/http/json daemon/http/metrics daemon/http/routing daemon/http/answers daemon/http/exchange daemon/http/sessions daemon/http/openapi daemon/http/streams',
  ),
  'daemon/http': room(
    'common protocol core daemon/shared daemon/fairness daemon/http/metrics daemon/http/routing daemon/http/answers daemon/http/exchange daemon/http/admission daemon/http/sessions daemon/http/streams daemon/http/endpoints',
    'node:http node:net node:stream node:tls',
  ),
  daemon: room(
    'common core daemon/shared daemon/fairness daemon/fences daemon/tcp daemon/http/exchange daemon/http daemon/lockd',
    'node:http node:net node:stream',
  ),
  backends: room('common'),
  'backends/queues': room('common'),
  'backends/dflockd/lanes': room('common protocol', 'node:net node:tls'),
  'backends/dflockd/queues': room('common protocol backends/queues backends/dflockd/lanes'),
  'backends/dflockd': room('common protocol backends backends/dflockd/lanes backends/dflockd/queues', 'node:tls'),
  'backends/embedded': room('common protocol core daemon/shared daemon/fences daemon/lockd daemon backends'),
  'backends/postgres/ids': room('common backends', 'node:crypto'),
  'backends/postgres/sessions': room('common', 'node:os pg'),
  'backends/postgres/commands': room('common backends backends/postgres/ids backends/postgres/sessions'),
  'backends/postgres/keep': room('common backends/postgres/ids backends/postgres/sessions backends/postgres/commands'),
  'backends/postgres/semaphores': room(
    'common backends/postgres/ids backends/postgres/sessions backends/postgres/commands',
  ),
  'backends/postgres/queues': room(
    'common backends backends/queues backends/postgres/ids backends/postgres/sessions backends/postgres/commands backends/postgres/keep backends/postgres/semaphores',
  ),
  'backends/postgres': room(
    'common backends backends/postgres/ids backends/postgres/sessions backends/postgres/commands backends/postgres/keep backends/postgres/queues',
  ),
  'backends/redis/scripts': room('common backends', 'node:crypto'),
  'backends/redis/drivers': room('common backends/redis/scripts'),
  'backends/redis': room('common backends backends/redis/scripts backends/redis/drivers'),
  'locks/lease': room('common backends'),
  'locks/options': room(
    'common protocol backends backends/dflockd/lanes backends/dflockd backends/embedded locks/lease',
  ),
  'locks/events': room('common backends', 'rxjs'),
  'locks/handle': room('common backends locks/lease locks/options locks/events', 'node:async_hooks node:stream rxjs'),
  'locks/acquire': room('common protocol backends locks/lease locks/options locks/events locks/handle'),
  'locks/tickets': room('common backends locks/lease locks/options locks/handle locks/acquire'),
  'locks/signals': room('common protocol backends locks/options', 'rxjs'),
  locks: room(
    'common protocol backends locks/lease locks/options locks/events locks/handle locks/acquire ' +
      'locks/tickets locks/signals',
    'rxjs',
  ),
  sql: room('common'),
  transactions: room('common backends backends/postgres/ids locks/options sql'),
  'dropin/dflockd-client': room(
    'common protocol backends locks/lease locks/options locks/handle locks/signals',
    'node:net node:string_decoder node:tls',
  ),
  'dropin/simple-distributed-lock': room('common backends/redis/drivers backends/redis/scripts'),
  'dropin/lockd': room('common protocol protocol/lockd daemon/lockd', 'node:events node:net'),
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
  'testing/backend': room('common backends locks', 'node:assert'),
  testing: room(
    'common protocol backends backends/embedded locks/options locks/handle locks/acquire locks ' +
      'nest/shared nest/methods nest',
    '@nestjs/common',
  ),
  cli: room(
    'common protocol/lockd daemon/shared daemon/lockd daemon backends/postgres/keep',
    'node:fs node:stream node:v8',
  ),
  entries: room(
    'common protocol daemon/shared daemon backends backends/dflockd/lanes backends/embedded ' +
      'backends/postgres/ids backends/postgres/sessions backends/postgres backends/redis/drivers backends/redis locks/options locks/events locks/handle locks/acquire locks/tickets locks/signals locks sql transactions dropin/dflockd-client ' +
      'dropin/lockd dropin/simple-distributed-lock nest/errors nest/methods nest/requests nest nest/decorators testing',
  ),
  'entries/testing': room('testing/backend'),
};

/**
 * What each room contains, in one line, for docs/architecture.md.
 *
 * @type {Readonly<Record<string, string>>}
 */
export const HOLDS = {
  common: 'errors, clock and timers, alarms, option checks, redaction of messages; knows nothing of locks',
  protocol: 'the dflockd protocol: requests, replies, encoders and decoders, limits, patterns, shards; no I/O',
  'protocol/lockd': 'the words and lines of the lockd protocol; no I/O',
  core: 'the lock engine: holders, queues, leases, fences, signals, statistics; no I/O, no clock',
  'daemon/shared': 'options of the server, its log, its ports, its engine, the comparison of tokens',
  'daemon/fairness':
    'what keeps clients from delaying or ending each other: shares, batches, limits, sessions whose errors end only them',
  'daemon/fences': 'the file that keeps fences rising across restarts',
  'daemon/tcp': 'sessions of the line protocol, on TCP and TLS',
  'daemon/lockd': 'the line protocol of lockd: its commands, shared locks, names and counters',
  'daemon/http/json': 'request bodies as Go reads JSON',
  'daemon/http/metrics': 'the series of `/metrics`: what requests and the engine do, in the text format of Prometheus',
  'daemon/http/routing': 'the route table; paths as bytes',
  'daemon/http/answers': 'answers over HTTP: statuses, headers, bodies',
  'daemon/http/exchange': 'one request and its answer; connections, and their deadlines',
  'daemon/http/admission': 'who may use the HTTP interface: origins, rates, tokens',
  'daemon/http/sessions': 'sessions over HTTP: virtual connections of the engine',
  'daemon/http/openapi': 'the OpenAPI document of the routes',
  'daemon/http/streams': 'signals as server-sent events',
  'daemon/http/endpoints': 'what each route does',
  'daemon/http': 'the HTTP interface: its layers, its port',
  daemon: 'the server: listeners, drain, shutdown',
  backends: 'the interface between locks and the backends that hold them',
  'backends/queues': 'callers of this process that wait for one key, for the backends that queue them',
  'backends/dflockd/lanes': 'connections to a dflockd server: dialing, pipelining, heartbeats, reconnecting',
  'backends/dflockd/queues': 'the queues of callers in this process, and their places in the queues of the server',
  'backends/dflockd': 'the backend for dflockd servers',
  'backends/embedded': 'the backend for the engine in this process',
  'backends/postgres/ids': 'the ids of the advisory locks that stand for keys',
  'backends/postgres/sessions':
    'sessions of Postgres: the source, connecting, the checks at the start, statements, the end',
  'backends/postgres/commands':
    'the statements; batches of tries and releases on the command connection, and the sessions on which waits block',
  'backends/postgres/keep': 'the table of holds that outlive their process, and who uses it',
  'backends/postgres/semaphores': 'slots of semaphores, their gates and their limits',
  'backends/postgres/queues': 'the queues of callers in this process, and their places in the queues of the server',
  'backends/postgres': 'the backend for Postgres',
  'backends/redis/scripts': 'the Lua scripts, the keys they work on, tokens and messages',
  'backends/redis/drivers': 'connections to Redis by ioredis and node-redis, and what its errors mean',
  'backends/redis': 'the backend for Redis',
  'locks/lease': 'how long a lock is certainly held, and its renewal',
  'locks/options': 'checked options of clients and calls; keys; the choice of the backend',
  'locks/events': 'the event streams',
  'locks/handle': 'held locks as users see them: handles, abort signals, release, nesting context',
  'locks/acquire': 'from a request to a held lock: waiting, retrying, several keys, nesting',
  'locks/tickets': 'tickets: places in a queue that are taken now and waited for later',
  'locks/signals': 'publish and subscribe',
  locks: '`LockClient`, which combines the folders below it',
  sql: 'transactions of SQL libraries, recognised by their shapes, and whether they are open',
  transactions: 'locks that a database transaction holds: `lockInTransaction`',
  'dropin/dflockd-client': 'the classes and functions of dflockd-client, under their own names',
  'dropin/simple-distributed-lock':
    'the class `Lock` of simple-distributed-lock, over the scripts of the Redis backend',
  'dropin/lockd': 'a client of lockd, under its own names, and a server for its clients',
  'nest/shared': 'injection tokens, metadata keys, error messages',
  'nest/errors': 'lock errors as HTTP, RPC, WebSocket and GraphQL responses',
  'nest/methods': 'the wrappers of decorated methods, by what the methods return',
  'nest/requests': 'the interceptor behind `@LockRequest`',
  'nest/boot': 'what the application scans, connects and refuses when it starts',
  nest: 'the module, its services, its lifecycle, its log',
  'nest/decorators': 'the decorators',
  'testing/backend': 'the contract of every backend, as tests for any test runner',
  testing: '`TestLocks` and its backend and clock',
  cli: 'the command `nestjs-dflockd`',
  'entries/testing': 'the import path `nestjs-dflockd/testing/backend`',
  entries: 'the import paths of the package: one file each, which only exports',
};

/** The rooms whose branches `npm run coverage` measures, with the rooms below them. */
export const COVERED = ['core', 'backends', 'locks'];

/**
 * Files that import each other's types: a hold belongs to a session, and a session has holds. Nothing else in lib is
 * cyclic, and no import of a value is.
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
