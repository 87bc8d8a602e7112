import { transformSync } from '@swc/core';
import * as jestGlobals from '@jest/globals';
import * as bull from '@nestjs/bullmq';
import * as common from '@nestjs/common';
import * as core from '@nestjs/core';
import * as schedule from '@nestjs/schedule';
import * as nestTesting from '@nestjs/testing';
import * as rxjs from 'rxjs';
import * as operators from 'rxjs/operators';
import * as ioredis from 'ioredis';
import * as nodeRedis from 'redis';
import pg from 'pg';
import * as tslib from 'tslib';
import * as asyncHooks from 'node:async_hooks';
import * as crypto from 'node:crypto';
import * as http from 'node:http';
import * as client from '../../lib/entries/client.js';
import * as daemon from '../../lib/entries/daemon.js';
import * as nest from '../../lib/entries/index.js';
import * as lockd from '../../lib/entries/lockd.js';
import * as postgres from '../../lib/entries/postgres.js';
import * as redis from '../../lib/entries/redis.js';
import * as testing from '../../lib/entries/testing.js';
import { commonJs } from './common-js.js';
import type { Example, ExampleClass } from './examples.js';
import { ARGUMENTS, ID, makeReader, USER } from './reader.js';

/** What examples import. */
const MODULES: Readonly<Record<string, object>> = {
  'nestjs-dflockd': nest,
  'nestjs-dflockd/client': client,
  'nestjs-dflockd/daemon': daemon,
  'nestjs-dflockd/lockd': lockd,
  'nestjs-dflockd/postgres': postgres,
  'nestjs-dflockd/redis': redis,
  'nestjs-dflockd/testing': testing,
  '@nestjs-modules/ioredis': commonJs('@nestjs-modules/ioredis', {
    '@nestjs/common': common,
    '@nestjs/core': core,
    // Of its health checks, which no example uses.
    '@nestjs/terminus': { HealthIndicatorService: class {}, TerminusModule: class {} },
    ioredis,
    tslib,
  }),
  '@nestjs/bullmq': bull,
  '@nestjs/common': common,
  '@nestjs/core': core,
  '@nestjs/schedule': schedule,
  '@nestjs/testing': nestTesting,
  'node:async_hooks': asyncHooks,
  'node:crypto': crypto,
  'node:http': http,
  ioredis,
  pg,
  redis: nodeRedis,
  'reflect-metadata': {},
  rxjs,
  'rxjs/operators': operators,
};

type Type = new (...args: any[]) => object;
/** What examples print is for their readers. */
const silent = { log() {}, warn() {}, error() {} };

type Scope = Record<string, unknown>;

/** Where the servers listen that examples need. */
export interface Servers {
  readonly daemon: string;
  /** Of examples that need it: `host:port`. */
  readonly lockd?: string | undefined;
  /** Of examples that need it: `host:port`. */
  readonly redis?: string | undefined;
  /** Of examples that need it: a connection string. */
  readonly postgres?: string | undefined;
}

/** The ports that pages name, and those that are free here: others may use the former. */
const ports = (
  code: string,
  {
    daemon: server,
    lockd: lockdServer = 'no lockd',
    redis: redisServer = 'no redis-server',
    postgres: url = 'no Postgres',
  }: Servers,
): string =>
  code
    .replaceAll('process.env.DATABASE_URL', `'${url}'`)
    .replaceAll('127.0.0.1:6379', redisServer)
    .replaceAll('127.0.0.1:9999', lockdServer)
    .replaceAll(/(?:127\.0\.0\.1|locks|dflockd):6388/g, server)
    .replaceAll(/(port: |'127\.0\.0\.1', )6388/g, `$1${server.split(':')[1]}`)
    .replaceAll(/\blisten\(3000\)/g, 'listen(0)');

/**
 * Runs an example to its end: its top level, then an application with its classes, of which each route is asked for and
 * each other method is called.
 */
export async function run(example: Example, servers: Servers): Promise<void> {
  const own = await readersApplication();
  const scope: Scope = {};
  const applications: common.INestApplicationContext[] = [own];
  try {
    const reader = await makeReader(own.get(nest.DflockdService), own);
    const declared = await evaluate(example, reader, servers);
    Object.assign(scope, declared());
    for (const { name, parameters } of example.functions) {
      const call = scope[name] as (...args: unknown[]) => unknown;
      await toItsEnd(call(...parameters.map((parameter) => argument(name, parameter))));
      // It may have begun something.
      Object.assign(scope, declared());
    }
    const app = (await Promise.all(Object.values(scope))).find(isApplication) ?? (await boot(example, scope));
    if (app) applications.unshift(app);
    if (app) for (const type of example.classes) await use(app, type, scope[type.name] as Type);
  } finally {
    jestGlobals.jest.useRealTimers();
    for (const value of await Promise.all(Object.values(scope))) if (isClosable(value)) await value.close();
    for (const app of applications) await app.close();
    for (const value of Object.values(scope)) if (value instanceof ioredis.Redis) value.disconnect();
  }
}

const readersApplication = (): Promise<common.INestApplicationContext> =>
  core.NestFactory.createApplicationContext(nest.DflockdModule.forRoot({ embedded: true, logger: false }), {
    logger: false,
  });

/** Runs its top level. @returns what it has declared by now */
export async function evaluate(example: Example, reader: object, servers: Servers): Promise<() => Scope> {
  const { code } = transformSync(ports(example.source, servers), {
    jsc: {
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
      keepClassNames: true,
      target: 'es2022',
    },
    module: { type: 'commonjs' },
  });
  const tests: (() => unknown)[] = [];
  const require = (name: string): object => {
    if (name === '@jest/globals') return { ...jestGlobals, it: (_: string, test: () => unknown) => tests.push(test) };
    const found = name.endsWith('/reader.js') ? { reader } : MODULES[name];
    if (!found) throw new Error(`the example imports ${name}, which is not among those that are run`);
    return found;
  };
  const AsyncFunction = (async () => {}).constructor as FunctionConstructor;
  const body = `${code}\nreturn () => ({ ${example.declared.join(', ')} });`;
  const program = new AsyncFunction('exports', 'require', 'console', ...example.ambient, body) as (
    ...args: unknown[]
  ) => Promise<() => Scope>;
  const declared = await program({}, require, silent, ...example.ambient.map((name) => (reader as Scope)[name]));
  for (const test of tests) await test();
  return declared;
}

const isClosable = (value: unknown): value is { close(): unknown } =>
  typeof value === 'object' && value !== null && typeof (value as { close?: unknown }).close === 'function';
const isApplication = (value: unknown): value is common.INestApplication =>
  isClosable(value) && typeof (value as { init?: unknown }).init === 'function';

const isModule = (type: Type): boolean =>
  ['imports', 'providers', 'controllers', 'exports'].some((key) => Reflect.hasMetadata(key, type));
const isController = (type: Type): boolean => Reflect.hasMetadata('__controller__', type);

/** An application of the classes that an example has; undefined if it has none for Nest. */
async function boot(example: Example, scope: Scope): Promise<common.INestApplication | undefined> {
  const types = example.classes
    .map(({ name }) => scope[name] as Type)
    .filter((type) => isModule(type) || Reflect.hasMetadata('__injectable__', type) || isController(type));
  if (types.length === 0) return undefined;
  const modules = types.filter(isModule);
  // What a module of the example lists is there already.
  const listed = modules.flatMap((type) =>
    ['providers', 'controllers'].flatMap((key) => (Reflect.getMetadata(key, type) as Type[] | undefined) ?? []),
  );
  const rest = types.filter((type) => !isModule(type) && !listed.includes(type));
  const locks = example.source.includes('DflockdModule.for')
    ? []
    : [nest.DflockdModule.forRoot({ embedded: true, logger: false })];
  const app = (
    await nestTesting.Test.createTestingModule({
      imports: [...locks, ...modules],
      controllers: rest.filter(isController),
      providers: rest.filter((type) => !isController(type)),
    }).compile()
  ).createNestApplication();
  app.useLogger(false);
  app.use((request: { user?: object }, _response: unknown, next: () => void) => {
    request.user = USER;
    next();
  });
  await app.listen(0, '127.0.0.1');
  return app;
}

/** Of interceptors, guards, pipes, filters, middleware and factories of options: they run with what they are for. */
const calledByNest = ['intercept', 'canActivate', 'transform', 'catch', 'use', 'createDflockdOptions'];

/** Asks for the routes of a class, and calls its other methods. */
async function use(app: common.INestApplicationContext, { name, methods }: ExampleClass, type: Type): Promise<void> {
  if (isModule(type)) return;
  if (calledByNest.some((method) => method in type.prototype)) return;
  const object = app.get<Record<string, (...args: unknown[]) => unknown>>(type, { strict: false });
  for (const method of methods) {
    const route = Reflect.getMetadata('path', object[method.name]!) as string | undefined;
    if (route !== undefined && isController(type)) await ask(app as common.INestApplication, type, method.name, route);
    else await toItsEnd(object[method.name]!(...method.parameters.map((parameter) => argument(name, parameter))));
  }
}

function argument(type: string, name: string): unknown {
  if (!(name in ARGUMENTS)) throw new Error(`reader.ts has nothing to give for the parameter ${name} of ${type}`);
  return ARGUMENTS[name];
}

async function ask(app: common.INestApplication, type: Type, method: string, route: string): Promise<void> {
  const path = `/${Reflect.getMetadata('path', type)}/${route}`.replaceAll(/:\w+/g, ID).replaceAll(/\/+/g, '/');
  const verb = common.RequestMethod[Reflect.getMetadata('method', type.prototype[method]) as number];
  const answer = await fetch(`${await app.getUrl()}${path}`, { method: verb! });
  const text = await answer.text();
  if (answer.status >= 400) throw new Error(`${verb} ${path} is answered ${answer.status}: ${text}`);
}

async function toItsEnd(result: unknown): Promise<void> {
  if (rxjs.isObservable(result)) await rxjs.lastValueFrom(result, { defaultValue: undefined });
  else if (typeof result === 'object' && result !== null && Symbol.asyncIterator in result) {
    for await (const _ of result as AsyncIterable<unknown>);
  } else await result;
}
