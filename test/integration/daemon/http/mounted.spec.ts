import 'reflect-metadata';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { All, type CanActivate, Controller, type ExecutionContext, Module, Req, Res, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createHttpHandler, type HttpHandler } from '../../../../lib/daemon/create-http-handler.js';
import { DflockdServer } from '../../../../lib/daemon/server.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { until } from '../../../support/until.js';
import { Wire } from '../../../support/wire.js';
import { turns } from '../harness.js';
import { connectTo, error, inSession, request } from './harness.js';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

let handler: HttpHandler;

class OnlyFriends implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return context.switchToHttp().getRequest<IncomingMessage>().headers['x-friend'] === 'yes';
  }
}

/** What a route gets: on Fastify, objects around the raw ones. */
type Given<T> = T & { raw?: T; hijack?(): void };

function serve(req: Given<IncomingMessage>, res: Given<ServerResponse>): void {
  res.hijack?.();
  handler(req.raw ?? req, res.raw ?? res);
}

@Controller('locks')
class OnExpress {
  @All(['dflockd', 'dflockd/*path'])
  @UseGuards(OnlyFriends)
  serve(@Req() req: Given<IncomingMessage>, @Res() res: Given<ServerResponse>): void {
    serve(req, res);
  }
}

@Controller('locks')
class OnFastify {
  @All(['dflockd', 'dflockd/*'])
  @UseGuards(OnlyFriends)
  serve(@Req() req: Given<IncomingMessage>, @Res() res: Given<ServerResponse>): void {
    serve(req, res);
  }
}

@Module({ controllers: [OnExpress] })
class ExpressModule {}

@Module({ controllers: [OnFastify] })
class FastifyModule {}

interface Options {
  server?: DflockdServer;
  path?: string;
  bodyParser?: boolean;
  use?: boolean;
}

function newServer(): DflockdServer {
  const server = new DflockdServer({ readTimeout: 3600 });
  ends.push(() => server.close());
  return server;
}

/** An application on Express; returns its port. */
async function express({ server = newServer(), path, bodyParser = false, use = false }: Options): Promise<number> {
  handler = createHttpHandler(server, { path });
  const app = await NestFactory.create<NestExpressApplication>(ExpressModule, { bodyParser, logger: false });
  if (use) app.use('/mounted/here', handler);
  await app.listen(0, '127.0.0.1');
  ends.push(() => app.close());
  return (app.getHttpServer().address() as AddressInfo).port;
}

/** The same on Fastify. */
async function fastify({ server = newServer(), path, bodyParser = false, use = false }: Options): Promise<number> {
  handler = createHttpHandler(server, { path });
  const adapter = new FastifyAdapter({ exposeHeadRoutes: false });
  if (!bodyParser) {
    adapter.getInstance().removeAllContentTypeParsers();
    adapter.getInstance().addContentTypeParser('*', (_request, _payload, done) => done(null));
  }
  const app = await NestFactory.create<NestFastifyApplication>(FastifyModule, adapter, { bodyParser, logger: false });
  if (use) app.use('/mounted/here', handler);
  await app.listen(0, '127.0.0.1');
  ends.push(() => app.close());
  return (app.getHttpServer().address() as AddressInfo).port;
}

const open = async (port: number) => {
  const wire = await connectTo(port);
  ends.push(() => wire.destroy());
  return wire;
};

const ask = async (port: number, method: string, path: string, body?: string, headers: Record<string, string> = {}) =>
  (await open(port)).ask(request(method, path, body, headers), method === 'HEAD');

const FRIEND = { 'X-Friend': 'yes' };
const PLATFORMS: [string, (options: Options) => Promise<number>][] = [
  ['Express', express],
  ['Fastify', fastify],
];

describe.each(PLATFORMS)('mounted in an application on %s', (platform, start) => {
  const session = async (port: number, base: string, headers = {}): Promise<string> =>
    (JSON.parse((await ask(port, 'POST', `${base}/v1/sessions`, undefined, headers)).body) as { session_id: string })
      .session_id;

  const WAYS: [string, string, Options, Record<string, string>][] = [
    ['app.use', '/mounted/here', { use: true }, {}],
    ['a route of a controller', '/locks/dflockd', { path: '/locks/dflockd' }, FRIEND],
  ];
  it.each(WAYS)('by %s, takes keys from the unparsed URL', async (_way, base, options, headers) => {
    const server = newServer();
    const port = await start({ ...options, server });
    const id = await session(port, base, headers);
    const all = { ...headers, ...inSession(id) };
    // The routers of both refuse paths that are not UTF-8 before any route.
    const isRefused = platform === 'Fastify' || options.path !== undefined;
    for (const [segment = '', key] of [
      ['a%2Fb', 'a/b'],
      ...(isRefused ? [] : [['%FF', '\xff']]),
      ['%2e%2e', '..'],
      ['K+x;y', 'K+x;y'],
    ]) {
      const { status, body } = await ask(port, 'POST', `${base}/v1/locks/${segment}`, '{"lease_ttl_s":60}', {
        ...all,
        'Content-Type': 'application/json',
      });
      expect([status, body]).toEqual([200, expect.stringContaining('"lease_ttl_s":60')]);
      const { token } = JSON.parse(body) as { token: string };
      const tcp = Wire.pair(server);
      expect(await tcp.ask(`n\n${key}\n${token} 40\n`)).toBe('ok 40');
      tcp.destroy();
      const renewed = await ask(port, 'POST', `${base}/v1/locks/${segment}/renew`, JSON.stringify({ token }), all);
      expect(renewed.body).toBe('{"remaining_s":33}\n');
    }
    expect((await ask(port, 'GET', `${base}/v1/locks/x`, undefined, headers)).body).toBe(error('method_not_allowed'));
    expect((await ask(port, 'GET', `${base}/v1/locks/x/`, undefined, headers)).body).toBe(error('not_found'));
    expect((await ask(port, 'GET', `${base}/health`, undefined, headers)).body).toBe('{"status":"ok"}\n');
    const redirected = await ask(port, 'POST', `${base}/v1//sessions`, '', headers);
    expect([redirected.status, redirected.headers['location']]).toEqual([307, `${base}/v1/sessions`]);
  });

  it('a route stands behind the guards of the application', async () => {
    const port = await start({ path: '/locks/dflockd' });
    expect((await ask(port, 'GET', '/locks/dflockd/health')).status).toBe(403);
    expect((await ask(port, 'GET', '/locks/dflockd/health', undefined, FRIEND)).status).toBe(200);
  });

  it('a client that leaves ends its wait', async () => {
    const port = await start({ use: true });
    const [holder, id] = [await session(port, '/mounted/here'), await session(port, '/mounted/here')];
    const acquire = (key: string, seconds: number, sid: string) =>
      request('POST', `/mounted/here/v1/locks/${key}`, JSON.stringify({ acquire_timeout_s: seconds }), inSession(sid));
    expect((await (await open(port)).ask(acquire('k', 0, holder))).status).toBe(200);
    const wire = await open(port);
    wire.send(acquire('k', 1000, id));
    await turns(30);
    wire.destroy();
    // Another request of the session would wait for its turn.
    expect((await (await open(port)).ask(acquire('free', 0, id))).body).toContain('"ok"');
  });

  it('if a body parser was faster, says so and how to cure it', async () => {
    const lines: string[] = [];
    const server = new DflockdServer({}, { logger: (_level, message) => void lines.push(message) });
    ends.push(() => server.close());
    const port = await start({ server, path: '/locks/dflockd', bodyParser: true });
    const id = await session(port, '/locks/dflockd', FRIEND);
    const headers = { ...FRIEND, ...inSession(id), 'Content-Type': 'application/json' };
    const answer = await ask(port, 'POST', '/locks/dflockd/v1/locks/k', '{}', headers);
    expect([answer.status, JSON.parse(answer.body)]).toEqual([
      500,
      { error: 'body_consumed', detail: expect.any(String) },
    ]);
    expect(lines.filter((line) => line.includes('before body parsers')).length).toBe(1);
  });

  it('after the close of the server: /ready says so, sessions are gone, new ones are refused', async () => {
    const server = newServer();
    const port = await start({ server, use: true });
    const holder = await session(port, '/mounted/here');
    const id = await session(port, '/mounted/here');
    const at = '/mounted/here/v1/locks/k';
    await ask(port, 'POST', at, '{}', inSession(holder));
    const waiting = await open(port);
    waiting.send(request('POST', at, '{"acquire_timeout_s":1000}', inSession(id)));
    await turns(30);
    await server.close();
    expect((await waiting.answer()).status).toBe(410);
    const ready = await ask(port, 'GET', '/mounted/here/ready');
    expect([ready.status, ready.body]).toEqual([503, '{"status":"draining"}\n']);
    expect((await ask(port, 'GET', '/mounted/here/health')).status).toBe(200);
    expect((await ask(port, 'POST', at, '{}', inSession(id))).status).toBe(410);
    expect((await ask(port, 'POST', '/mounted/here/v1/sessions')).body).toBe(error('draining'));
  });
});

describe('mounted in a plain server', () => {
  it('works without a path; a body has the read timeout; the socket is the application’s', async () => {
    const clock = new FakeClock();
    const server = new DflockdServer({ readTimeout: 10, httpSessionIdleTimeout: 0 }, { clock });
    ends.push(() => server.close());
    const app = createServer(createHttpHandler(server)).listen(0, '127.0.0.1');
    await until(() => app.listening);
    ends.push(() => app.close());
    const { port } = app.address() as AddressInfo;
    const wire = await open(port);
    const { body } = await wire.ask(request('POST', '/v1/sessions'));
    const { session_id: id } = JSON.parse(body) as { session_id: string };
    wire.send(request('POST', '/v1/locks/k', undefined, { ...inSession(id), 'Content-Length': '2' }));
    for (let i = 0; i < 60; i++) {
      clock.advance(250);
      await turns(2);
    }
    expect((await wire.answer()).status).toBe(400);
    await until(() => clock.pendingTimers < 10);
  });

  it.each(['x', 'http://x', '/a b', '/a?b', 7])('the path %p is refused', (path) => {
    expect(() => createHttpHandler(newServer(), { path: path as string })).toThrow(
      /option path must begin with a slash/,
    );
  });
});
