import { OutgoingMessage } from 'node:http';
import { Stream } from 'node:stream';
import type { ExecutionContext } from '@nestjs/common';

/** A response of Node's, under whatever framework; those of serverless adapters and of mocks may have less. */
export interface RawResponse {
  readonly writableFinished?: boolean;
  readonly closed?: boolean;
  readonly destroyed?: boolean;
  readonly headersSent?: boolean;
  readonly req?: { readonly socket?: { readonly destroyed?: boolean; readonly bytesRead?: number } | null };
  once?(event: 'finish' | 'close', listener: () => void): unknown;
  listenerCount?(event: 'finish' | 'close'): number;
  destroy?(error?: Error): unknown;
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

/** Whether everything has been handed to the network, or nothing more will be. */
export const isOver = ({ writableFinished, closed, destroyed, req }: RawResponse): boolean =>
  writableFinished === true || closed === true || destroyed === true || req?.socket?.destroyed === true;

/** Those who are to be told of the end of a response: one listener of its own for all, since Node warns of more than ten. */
const listening = new WeakMap<RawResponse, Set<() => void>>();

/**
 * Calls back at the end of the response: at `finish` or `close`, whichever comes first, since serverless adapters emit
 * only the one, and clients that leave cause only the other. May call twice.
 * @returns false if the response has no events
 */
export function onEnd(response: RawResponse, listener: () => void): boolean {
  if (typeof response.once !== 'function') return false;
  const known = listening.get(response);
  if (known) known.add(listener);
  else listen(response, new Set([listener]));
  // The methods of a mock may do nothing.
  return typeof response.listenerCount !== 'function' || response.listenerCount('close') > 0;
}

function listen(response: RawResponse, listeners: Set<() => void>): void {
  const tell = (): void => listeners.forEach((listener) => listener());
  listening.set(response, listeners);
  response.once!('finish', tell);
  response.once!('close', tell);
}

/**
 * Whether it is not its turn yet: the client has sent requests before it over the same connection (pipelining), and has yet to
 * be answered. Where that connection ends, such a response emits nothing.
 */
export const isPipelined = (response: RawResponse): boolean => response instanceof OutgoingMessage && !response.socket;

/** Whether it has events, but cannot be relied on to emit any: a mock, or a response that nobody reads from. */
export function isMute(response: RawResponse): boolean {
  if (!(response instanceof Stream)) return true;
  if (!(response instanceof OutgoingMessage)) return false;
  const { writableEnded, socket, req } = response as OutgoingMessage & RawResponse;
  // A pipelined response has no socket either, but its request came over one.
  return writableEnded && !socket && !req?.socket?.bytesRead;
}

/** Where the drivers of Apollo and Mercurius, and most `context` functions of users, put it. */
function responseInGraphQL(context: unknown): RawResponse | undefined {
  if (typeof context !== 'object' || context === null) return undefined;
  const { res, reply, response, req } = context as Record<string, { res?: unknown } | undefined>;
  return [res, reply, response, req?.res].map(rawOf).find((found) => found !== undefined && isComplete(found));
}

/** Fastify has Node's response inside its own. */
function rawOf(response: unknown): RawResponse | undefined {
  if (typeof response !== 'object' || response === null) return undefined;
  return (response as { raw?: RawResponse | null }).raw ?? response;
}

/** Other things than a response may go by these names. */
const isComplete = (response: RawResponse): boolean =>
  typeof response.once === 'function' &&
  typeof response.destroy === 'function' &&
  response.writableFinished !== undefined;
