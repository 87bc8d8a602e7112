import { DEFAULT_HOST } from '../../../protocol/limits.js';
import {
  jsonContent,
  type Operation,
  type OperationId,
  OPERATIONS,
  SHARED_RESPONSES,
  type SharedResponse,
} from './operations.js';
import { channelSchema, keySchema, type Schema, SCHEMAS, sessionIdSchema } from './schemas.js';

/** A route, as far as the document describes it. */
export interface DescribedRoute {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** With its parameters in braces. */
  readonly path: string;
  readonly name: OperationId;
}

const parameter = (name: string): Schema => ({ $ref: `#/components/parameters/${name}` });
const response = (name: SharedResponse): Schema => ({ $ref: `#/components/responses/${name}` });

/** The parameter of a path, by the name in its braces. */
const PATH_PARAMETERS: Readonly<Record<string, Schema>> = {
  '{key}': parameter('KeyPath'),
  '{id}': parameter('SessionIdPath'),
  '{channel}': {
    name: 'channel',
    in: 'path',
    required: true,
    description: 'At most 256 bytes, without white space and wildcards.',
    schema: channelSchema,
  },
};

const PARAMETERS: Readonly<Record<string, Schema>> = {
  SessionHeader: {
    name: 'X-Dflockd-Session',
    in: 'header',
    required: true,
    description: 'The `session_id` of the session.',
    schema: sessionIdSchema,
  },
  SessionIdPath: { name: 'id', in: 'path', required: true, description: 'The session.', schema: sessionIdSchema },
  KeyPath: {
    name: 'key',
    in: 'path',
    required: true,
    description: 'The key: one segment, percent-encoded, at most 256 bytes, without spaces, tabs and line breaks.',
    schema: keySchema,
  },
};

const TAGS = [
  { name: 'sessions', description: 'Whom locks belong to.' },
  { name: 'locks', description: 'One holder at a time, in the order of asking.' },
  { name: 'semaphores', description: 'A fixed number of holders at a time.' },
  { name: 'signals', description: 'Messages to whoever listens at the moment.' },
  { name: 'introspection', description: 'Probes, metrics, what is held.' },
];

const DESCRIPTION = [
  'Locks, semaphores and signals of a dflockd server, in one queue with its TCP clients.',
  'Bodies are JSON whatever their Content-Type says, and have at most 1 MiB. Field names match in any letter case.',
  'What is not HTTP is answered 400 in plain text, and the connection is closed.',
].join('\n\n');

function answers({ open, unlimited, body, answers: own }: Operation): Schema {
  const all: Record<number, Schema> = {};
  for (const [status, answer] of Object.entries(own)) {
    if (typeof answer === 'string') {
      all[Number(status)] = response(answer);
      continue;
    }
    const { description, schema, contentType } = answer;
    const content = schema
      ? jsonContent(schema)
      : contentType
        ? { [contentType]: { schema: anything(contentType) } }
        : {};
    all[Number(status)] = { description, ...(Object.keys(content).length > 0 && { content }) };
  }
  if (!open) all[401] = response('Unauthorized');
  if (body) all[500] = response('InternalError');
  if (!unlimited) all[429] = response('TooManyRequests');
  return all;
}

const anything = (contentType: string): Schema => ({ type: contentType === 'application/json' ? 'object' : 'string' });

function describe(path: string, operationId: OperationId): Schema {
  const operation: Operation = OPERATIONS[operationId];
  const { tag, summary, description, body, query = [], session, open } = operation;
  const inPath = path.split('/').flatMap((segment) => PATH_PARAMETERS[segment] ?? []);
  const parameters = [...inPath, ...(session ? [parameter('SessionHeader')] : []), ...query];
  return {
    operationId,
    tags: [tag],
    summary,
    ...(description && { description }),
    ...(open && { security: [] }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: { required: body.required, content: jsonContent(body.schema) } }),
    responses: answers(operation),
  };
}

/** The OpenAPI 3.1 document of these routes. */
export function openApiDocument(routes: readonly DescribedRoute[]): Schema {
  const paths: Record<string, Record<string, Schema>> = {};
  for (const { method, path, name } of routes) {
    (paths[path] ??= {})[method.toLowerCase()] = describe(path, name);
  }
  const responses = Object.fromEntries(
    Object.entries(SHARED_RESPONSES).map(([name, description]) => [
      name,
      { description, content: jsonContent('ErrorResponse') },
    ]),
  );
  return {
    openapi: '3.1.0',
    info: { title: 'dflockd HTTP API', version: '0.1.0', description: DESCRIPTION },
    servers: [
      { url: 'http://{host}:{port}', variables: { host: { default: DEFAULT_HOST }, port: { default: '6389' } } },
    ],
    tags: TAGS,
    security: [{ bearerAuth: [] }],
    paths,
    components: {
      securitySchemes: { bearerAuth: { type: 'http', scheme: 'bearer' } },
      parameters: PARAMETERS,
      responses,
      schemas: SCHEMAS,
    },
  };
}
