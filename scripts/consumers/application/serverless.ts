// Requests without a socket: from a serverless adapter, whose responses are never closed, and from inject().
import { strict as assert } from 'node:assert';
import type { INestApplication } from '@nestjs/common';

interface Answer {
  readonly statusCode: number;
  readonly body: string;
  readonly isBase64Encoded?: boolean;
}

/** The event that API Gateway passes to a function. */
const eventFor = (path: string) => ({
  version: '2.0',
  routeKey: '$default',
  rawPath: path,
  rawQueryString: '',
  headers: { host: 'localhost' },
  requestContext: {
    stage: '$default',
    http: { method: 'GET', path, protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: 'consumer' },
  },
  isBase64Encoded: false,
});

/** @param name hidden from the compiler: the types of the adapters do not fit every module resolution */
async function load(
  name: string,
): Promise<(...args: unknown[]) => (event: object, context: object) => Promise<Answer>> {
  const loaded = await import(name);
  return typeof loaded === 'function' ? loaded : loaded.default;
}

/** Sends one request after the other: each lock must be free once its request has been answered. */
async function inTurn(ask: (path: string) => Promise<readonly [status: number, text: string]>): Promise<void> {
  for (const path of ['/file', '/export']) {
    for (let i = 0; i < 4; i++) assert.deepEqual(await ask(path), [200, 'ab'], `${path}, request ${i}`);
  }
}

export async function withoutSockets(app: INestApplication<any>, platform: string | undefined): Promise<void> {
  const instance = app.getHttpAdapter().getInstance();
  const invoke =
    platform === 'fastify'
      ? (await load('@fastify/aws-lambda'))(instance, { decorateRequest: false })
      : (await load('@codegenie/serverless-express'))({ app: instance });
  await inTurn(async (path) => {
    const { statusCode, body, isBase64Encoded } = await invoke(eventFor(path), {});
    return [statusCode, Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8').toString()];
  });
  if (platform !== 'fastify') return;
  await inTurn(async (path) => {
    const { statusCode, payload } = await instance.inject({ method: 'GET', url: path });
    return [statusCode, payload];
  });
}
