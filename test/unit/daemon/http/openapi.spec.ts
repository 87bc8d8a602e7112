import { describe, expect, it } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { openApiDocument } from '../../../../lib/daemon/http/openapi/document.js';
import { ROUTES } from '../../../../lib/daemon/http/routing/routes.js';

/** Spec http 3.14. */
const OPERATIONS = [
  'GET /health getHealth',
  'GET /ready getReady',
  'GET /metrics getMetrics',
  'POST /v1/sessions createSession',
  'DELETE /v1/sessions/{id} deleteSession',
  'POST /v1/sessions/{id}/ping pingSession',
  'GET /v1/stats getStats',
  'POST /v1/locks/{key} acquireLock',
  'POST /v1/locks/{key}/release releaseLock',
  'POST /v1/locks/{key}/renew renewLock',
  'POST /v1/locks/{key}/enqueue enqueueLock',
  'POST /v1/locks/{key}/wait waitLock',
  'POST /v1/semaphores/{key} acquireSemaphore',
  'POST /v1/semaphores/{key}/release releaseSemaphore',
  'POST /v1/semaphores/{key}/renew renewSemaphore',
  'POST /v1/semaphores/{key}/enqueue enqueueSemaphore',
  'POST /v1/semaphores/{key}/wait waitSemaphore',
  'POST /v1/signals/{channel} publishSignal',
  'GET /v1/signals subscribeSignals',
  'GET /v1/openapi.json getOpenAPI',
];

interface Described {
  readonly operationId: string;
  readonly security?: readonly unknown[];
  readonly parameters?: readonly { readonly $ref?: string; readonly name?: string }[];
  readonly requestBody?: {
    readonly required: boolean;
    readonly content: Readonly<Record<string, { readonly schema: { readonly $ref: string } }>>;
  };
  readonly responses: Readonly<Record<string, unknown>>;
}
interface Document {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly servers: readonly unknown[];
  readonly security: readonly unknown[];
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>;
}

const text = JSON.stringify(openApiDocument(ROUTES));
const document = JSON.parse(text) as Document;
const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
const operation = (id: string): Described => operations.find(({ operationId }) => operationId === id)!;

process.stderr.write('left out: schemathesis and a generated client, which `npm run test:openapi` runs\n');

describe('the OpenAPI document', () => {
  it('is valid OpenAPI 3.1', async () => {
    const validator = new Validator();
    expect((await validator.validate(JSON.parse(text) as Record<string, unknown>)).errors).toBeUndefined();
    expect(validator.version).toBe('3.1');
  });

  it('has title, version, server and security of the original', () => {
    expect(document).toMatchObject({
      openapi: '3.1.0',
      info: { title: 'dflockd HTTP API', version: '0.1.0' },
      servers: [
        { url: 'http://{host}:{port}', variables: { host: { default: '127.0.0.1' }, port: { default: '6389' } } },
      ],
      security: [{ bearerAuth: [] }],
    });
    expect(document.components.securitySchemes!.bearerAuth).toEqual({ type: 'http', scheme: 'bearer' });
    expect(operations.filter(({ security }) => security?.length === 0).map(({ operationId }) => operationId)).toEqual([
      'getHealth',
      'getReady',
      'getOpenAPI',
    ]);
  });

  it('has the operations, schemas, parameters, responses and tags of the original', () => {
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { operationId }]) => `${method.toUpperCase()} ${path} ${operationId}`),
    );
    expect(described.sort()).toEqual([...OPERATIONS].sort());
    expect(document.tags.map(({ name }) => name)).toEqual([
      'sessions',
      'locks',
      'semaphores',
      'signals',
      'introspection',
    ]);
    const names = (of: string): string[] => Object.keys(document.components[of]!).sort();
    expect(names('parameters')).toEqual(['KeyPath', 'SessionHeader', 'SessionIdPath']);
    expect(names('responses')).toEqual(
      expect.arrayContaining(['BadRequest', 'CapacityExceeded', 'SessionGone', 'TooManyRequests', 'Unauthorized']),
    );
    expect(names('schemas')).toEqual(
      (
        'AcquireRequest AcquireResponse CreateSessionResponse EnqueueRequest EnqueueResponse ErrorResponse IdleInfo LockInfo ' +
        'ReleaseRequest RenewRequest RenewResponse SemAcquireRequest SemEnqueueRequest SemInfo SignalChannelInfo ' +
        'SignalRequest SignalResponse StatsResponse StatusResponse WaitRequest WaitResponse'
      ).split(' '),
    );
  });

  it('refers to nothing that it does not have, and has nothing that it does not refer to', () => {
    const referred = new Set([...text.matchAll(/"\$ref":"#\/components\/(\w+\/\w+)"/g)].map(([, name]) => name));
    const present = Object.entries(document.components)
      .filter(([of]) => of !== 'securitySchemes')
      .flatMap(([of, each]) => Object.keys(each).map((name) => `${of}/${name}`));
    expect([...referred].sort()).toEqual(present.sort());
  });

  it('lets no object have properties of other names', () => {
    const open: string[] = [];
    const visit = (at: string, value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      const { properties, additionalProperties } = value as Record<string, unknown>;
      if (properties !== undefined && additionalProperties !== false) open.push(at);
      for (const [name, each] of Object.entries(value)) visit(`${at}/${name}`, each);
    };
    visit('schemas', document.components.schemas);
    expect(open).toEqual([]);
  });

  it('describes the table of routes: their sessions, bodies and parameters', () => {
    for (const { name, hasSession, body, allowsEmptyBody } of ROUTES) {
      const { parameters = [], requestBody } = operation(name);
      const refs = parameters.map(({ $ref, name: own }) => $ref?.split('/').at(-1) ?? own);
      expect([name, refs.includes('SessionHeader')]).toEqual([name, hasSession]);
      expect([name, requestBody?.required]).toEqual([name, body ? !allowsEmptyBody : undefined]);
      if (!requestBody) continue;
      const { schema } = Object.values(requestBody.content)[0]!;
      const { properties } = document.components.schemas![schema.$ref.split('/').at(-1)!]!;
      const types = Object.entries(properties as Record<string, { type: string | string[] }>).map(
        ([field, { type }]) => [field, [type].flat()[0] === 'integer' ? 'integer' : 'text'],
      );
      expect([name, Object.fromEntries(types)]).toEqual([name, body]);
    }
  });

  it('is ASCII, because answers are written byte by byte', () => {
    expect(text).toMatch(/^[ -~]*$/);
  });

  it('declares 401 and 429 wherever they can occur', () => {
    const without = (status: string): string[] =>
      operations.filter(({ responses }) => !(status in responses)).map(({ operationId }) => operationId);
    expect(without('401')).toEqual(['getHealth', 'getReady', 'getOpenAPI']);
    expect(without('429')).toEqual(['getHealth', 'getReady']);
  });

  it.each([
    ['acquireLock', { acquire_timeout_s: 10, lease_ttl_s: 60 }, 'AcquireRequest', true],
    ['acquireLock', null, 'AcquireRequest', true],
    ['acquireLock', { acquire_timeout_s: null }, 'AcquireRequest', true],
    ['acquireLock', { acquire_timeout_s: 10.5 }, 'AcquireRequest', false],
    ['acquireLock', { acquire_timeout_s: 9_223_372_037 }, 'AcquireRequest', false],
    ['acquireLock', { limit: 1 }, 'AcquireRequest', false],
    ['acquireLock', [], 'AcquireRequest', false],
    ['acquireSemaphore', {}, 'SemAcquireRequest', false],
    ['acquireSemaphore', { limit: 0 }, 'SemAcquireRequest', false],
    ['acquireSemaphore', { limit: 3, lease_ttl_s: 0 }, 'SemAcquireRequest', true],
    ['releaseLock', { token: 'a b' }, 'ReleaseRequest', false],
    ['releaseLock', {}, 'ReleaseRequest', false],
    ['releaseLock', { token: 'ab' }, 'ReleaseRequest', true],
    ['publishSignal', { payload: ' ' }, 'SignalRequest', false],
    ['publishSignal', { payload: 'a\n' }, 'SignalRequest', false],
    ['publishSignal', { payload: ' a ' }, 'SignalRequest', true],
    ['acquireLock', { status: 'ok', token: 'x', lease_ttl_s: 3 }, 'AcquireResponse', true],
    ['acquireLock', { status: 'timeout' }, 'AcquireResponse', true],
    ['acquireLock', { status: 'ok' }, 'AcquireResponse', false],
    ['acquireLock', { status: 'timeout', token: 'x', lease_ttl_s: 3 }, 'AcquireResponse', false],
    ['enqueueLock', { status: 'queued' }, 'EnqueueResponse', true],
    ['getStats', { error: 'draining', detail: 'x' }, 'ErrorResponse', true],
    ['getStats', { error: 'other' }, 'ErrorResponse', false],
  ])('%s: %j as %s is valid: %s', (_, value, schema, valid) => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema(document, 'doc');
    expect(ajv.getSchema(`doc#/components/schemas/${schema}`)!(value)).toBe(valid);
  });

  it.each([
    ['a', true],
    ['>', true],
    ['*', true],
    ['a.>', true],
    ['*.>', true],
    ['a.*.c', true],
    ['a..b', true],
    ['.', true],
    ['a.', true],
    ['a*', false],
    ['*a', false],
    ['**', false],
    ['a.*>', false],
    ['a.b>', false],
    ['>>', false],
    ['>.a', false],
    ['a.>.b', false],
    ['', false],
    ['a b', false],
  ])('the pattern %j is valid: %s', (value, valid) => {
    const [{ schema }] = operation('subscribeSignals').parameters as unknown as [{ schema: object }];
    expect(new Ajv2020({ strict: false }).compile(schema)(value)).toBe(valid);
  });
});
