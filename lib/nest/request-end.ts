import type { ExecutionContext } from '@nestjs/common';

/** A response of Node, under whatever framework. */
export interface RawResponse {
  readonly writableFinished: boolean;
  readonly closed?: boolean;
  readonly destroyed: boolean;
  once(event: 'close', listener: () => void): unknown;
  destroy(error?: Error): unknown;
}

/** The response to a request: of HTTP, or of the HTTP request that carried a GraphQL operation. */
export function responseOf(context: ExecutionContext): RawResponse | undefined {
  switch (context.getType<string>()) {
    case 'http':
      return rawOf(context.switchToHttp().getResponse());
    case 'graphql':
      return responseInGraphQL(context.getArgByIndex(2));
    default:
      return undefined;
  }
}

/** Where the drivers of Apollo and Mercurius, and most `context` functions of users, put it. */
function responseInGraphQL(context: unknown): RawResponse | undefined {
  if (typeof context !== 'object' || context === null) return undefined;
  const { res, reply, response, req } = context as Record<string, { res?: unknown } | undefined>;
  return [res, reply, response, req?.res].map(rawOf).find((found) => found !== undefined);
}

/** Fastify has Node's response inside its own. */
function rawOf(response: unknown): RawResponse | undefined {
  if (typeof response !== 'object' || response === null) return undefined;
  const raw: unknown = (response as { raw?: unknown }).raw ?? response;
  const { once, destroy, writableFinished } = raw as Partial<RawResponse>;
  const complete = typeof once === 'function' && typeof destroy === 'function' && writableFinished !== undefined;
  return complete ? (raw as RawResponse) : undefined;
}
