import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CompiledLib } from '../support/compiled-lib.js';
import { nestProgram } from './nest-programs.js';

let lib: CompiledLib;

beforeAll(async () => {
  lib = await CompiledLib.make({ nest: true });
}, 30_000);
afterAll(() => lib.remove());

/** In a process of its own: light-my-request requires an ES module, which Jest cannot do. */
const program = (adapter: string, inject: string, embedded: boolean) => `
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
  const options = ${embedded ? '{ embedded: true }' : "{ servers: ['127.0.0.1:' + port] }"};
  const module = { module: class App {}, imports: [DflockdModule.forRoot({ ...options, logger: false })], controllers: [Files] };
  const app = await NestFactory.create(module, new ${adapter}(), { logger: false });
  await app.init();
  const instance = app.getHttpAdapter().getInstance();
  await instance.ready?.();
  const answers = {};
  for (const url of paths) {
    answers[url] = [];
    for (let i = 0; i < 4; i++) {
      const { statusCode, payload } = await ${inject};
      answers[url].push(statusCode + ' ' + (statusCode === 200 ? payload : ''));
    }
  }
  await app.close();
  await server.close();
  console.log(JSON.stringify(answers));
`;

describe.each([
  ['ExpressAdapter', "inject(instance, { method: 'GET', url })"],
  ['FastifyAdapter', "instance.inject({ method: 'GET', url })"],
])('requests that are injected into an application over %s', (adapter, inject) => {
  it.each([
    ['embedded', true],
    ['over a daemon', false],
  ])('found a locked file busy every second time, %s', async (_where, embedded) => {
    const { code, out } = await lib.run(program(adapter, inject, embedded));
    expect(code).toBe(0);
    for (const [path, answers] of Object.entries(JSON.parse(out) as Record<string, string[]>)) {
      expect([path, ...answers]).toEqual([path, ...Array<string>(4).fill('200 ab')]);
    }
  });
});
