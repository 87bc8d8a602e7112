import { beforeAll, describe, expect, it } from '@jest/globals';
import { CompiledLib, type Ended } from '../support/compiled-lib.js';
import { nestProgram } from './nest-programs.js';

const ADAPTERS = [
  ['ExpressAdapter', "inject(instance, { method: 'GET', url })"],
  ['FastifyAdapter', "instance.inject({ method: 'GET', url })"],
] as const;
const PLACES = [
  ['embedded', true],
  ['over a daemon', false],
] as const;

/** In a process of its own: light-my-request requires an ES module, which Jest cannot do. */
const program = (lib: CompiledLib) => `
  ${nestProgram(lib)}
  import { createReadStream, writeFileSync } from 'node:fs';
  import { Readable } from 'node:stream';
  import { Controller, Get, Res, StreamableFile } from '@nestjs/common';
  import { ExpressAdapter } from '@nestjs/platform-express';
  import { FastifyAdapter } from '@nestjs/platform-fastify';
  import inject from 'light-my-request';
  const { LockRequest } = await import(${JSON.stringify(lib.url('entries/index.js'))});
  writeFileSync('content', 'ab');
  const SOURCES = {
    buffer: () => Buffer.from('ab'),
    iterable: () => Readable.from(['a', 'b']),
    disk: () => createReadStream('content'),
  };
  const paths = [];
  class Files {}
  for (const [source, make] of Object.entries(SOURCES)) {
    for (const [kind, lock] of [
      ['request', () => LockRequest(() => 'request-' + source, { acquireTimeoutS: 0 })],
      ['handler', () => LockRequest(() => 'handler-' + source, { acquireTimeoutS: 0, until: 'handler' })],
      ['method', () => WithLock('method-' + source, { acquireTimeoutS: 0 })],
    ]) {
      const name = kind + source;
      Files.prototype[name] = async function () {
        return new StreamableFile(make());
      };
      decorate(Files, name, Get(name), lock());
      paths.push('/' + name);
    }
  }
  Controller()(Files);
  const server = new DflockdServer({ port: 0 });
  const { port } = await server.listen();
  const ask = async (adapter, inject, options) => {
    const module = { module: class App {}, imports: [DflockdModule.forRoot({ ...options, logger: false })], controllers: [Files] };
    const app = await NestFactory.create(module, adapter, { logger: false });
    await app.init();
    const instance = app.getHttpAdapter().getInstance();
    await instance.ready?.();
    const answers = {};
    for (const url of paths) {
      answers[url] = [];
      for (let i = 0; i < 4; i++) {
        const { statusCode, payload } = await inject(instance, url);
        answers[url].push(statusCode + ' ' + (statusCode === 200 ? payload : ''));
      }
    }
    await app.close();
    return answers;
  };
  const all = {};
  ${ADAPTERS.flatMap(([adapter, injected]) =>
    PLACES.map(([where, embedded]) => {
      const options = embedded ? '{ embedded: true }' : "{ servers: ['127.0.0.1:' + port] }";
      return `all['${adapter} ${where}'] = await ask(new ${adapter}(), (instance, url) => ${injected}, ${options});`;
    }),
  ).join('\n  ')}
  await server.close();
  console.log(JSON.stringify(all));
`;

let ended: Ended;

beforeAll(async () => {
  const lib = await CompiledLib.make({ nest: true });
  ended = await lib.run(program(lib), 60_000).finally(() => lib.remove());
}, 90_000);

describe.each(ADAPTERS)('requests that are injected into an application over %s', (adapter, _inject) => {
  it.each(PLACES)('found a locked file busy every second time, %s', (where, _embedded) => {
    expect(ended).toEqual({ code: 0, out: expect.stringMatching(/^\{.*\}\n$/) });
    const all = JSON.parse(ended.out) as Record<string, Record<string, string[]>>;
    const paths = Object.entries(all[`${adapter} ${where}`]!);
    expect(paths).toHaveLength(9);
    for (const [path, answers] of paths) {
      expect([path, ...answers]).toEqual([path, ...Array<string>(4).fill('200 ab')]);
    }
  });
});
