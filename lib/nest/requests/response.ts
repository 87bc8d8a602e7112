import { OutgoingMessage } from 'node:http';
import { Stream } from 'node:stream';
import type { ExecutionContext } from '@nestjs/common';

/** Node's response under any framework; those of serverless adapters and of mocks may have fewer members. */
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

/** Callbacks for the end of a response. They share one listener, since Node warns of more than ten. */
const listening = new WeakMap<RawResponse, Set<() => void>>();

/**
 * Calls back at the end of the response: at `finish` or `close`, whichever comes first. Serverless adapters emit only
 * the former, and clients that disconnect cause only the latter. May call twice.
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
 * Whether the response waits behind others: the client has sent earlier requests over the same connection (pipelining)
 * that have not been answered yet. If that connection ends, such a response emits nothing.
 */
export const isPipelined = (response: RawResponse): boolean => response instanceof OutgoingMessage && !response.socket;

/** Whether it has events but may never emit any: a mock, or a response that is not read. */
export function isMute(response: RawResponse): boolean {
  if (!(response instanceof Stream)) return true;
  if (!(response instanceof OutgoingMessage)) return false;
  const { writableEnded, socket, req } = response as OutgoingMessage & RawResponse;
  // A pipelined response has no socket either, but its request came over one.
  return writableEnded && !socket && !req?.socket?.bytesRead;
}

/** Where the drivers of Apollo and Mercurius, and most users' `context` functions, put it. */
function responseInGraphQL(context: unknown): RawResponse | undefined {
  if (typeof context !== 'object' || context === null) return undefined;
  const { res, reply, response, req } = context as Record<string, { res?: unknown } | undefined>;
  return [res, reply, response, req?.res].map(rawOf).find((found) => found !== undefined && isComplete(found));
}

/** Fastify wraps Node's response in its own. */
function rawOf(response: unknown): RawResponse | undefined {
  if (typeof response !== 'object' || response === null) return undefined;
  return (response as { raw?: RawResponse | null }).raw ?? response;
}

/** Objects other than a response may have these names. */
const isComplete = (response: RawResponse): boolean =>
  typeof response.once === 'function' &&
  typeof response.destroy === 'function' &&
  response.writableFinished !== undefined;
