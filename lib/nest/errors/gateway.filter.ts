import 'reflect-metadata';
import { Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { LockError, LockKeyError } from '../../common/errors.js';
import { CatchIf } from './catch.types.js';
import { LOG_CONTEXT } from '../shared/dflockd.constants.js';
import { answeringIn, answeringOf } from './exception.settings.js';
import { answerTo, INTERNAL, type EdgeAnswer, type LockErrorStatuses } from './lock-error-statuses.js';

/** Names in all versions of Nest; not exported in all of them. */
const GATEWAY = 'websockets:is_gateway';
const FILTERS = '__exceptionFilters__';

/** A client of socket.io, or a WebSocket, whose `emit` reaches nobody but itself. */
interface Client {
  emit?(event: string, data: unknown): void;
  send?(message: string): void;
  readyState?: unknown;
}

/** Tells a WebSocket client about a failed lock, by an `exception` event. */
export function tellClient(error: LockError, settings: LockErrorStatuses, host: ArgumentsHost): void {
  const answer = answerTo(error, settings);
  logFault(error, answer);
  const { message } = answer ?? INTERNAL;
  const data = { status: 'error', message, code: error.code };
  const client = host.switchToWs().getClient<Client>();
  if (typeof client.readyState === 'number' && client.send) client.send(JSON.stringify({ event: 'exception', data }));
  else client.emit?.('exception', data);
}

/** The filter of an application's gateways, for all of its DflockdModules. */
class GatewayFilter implements ExceptionFilter<LockError> {
  constructor(private readonly modules: ModulesContainer) {}

  catch(error: LockError, host: ArgumentsHost): void {
    tellClient(error, answeringOf(this.modules, error)?.settings ?? {}, host);
  }
}

/** Nest reads from its class what a filter catches. */
function gatewayFilter(modules: ModulesContainer): GatewayFilter {
  class Its extends GatewayFilter {}
  CatchIf((error) => answeringOf(modules, error)?.settings !== undefined)(Its);
  return new Its(modules);
}

const logger = new Logger(LOG_CONTEXT);

/**
 * Clients are told nothing about a mistake of the application, so the log has it; over HTTP Nest itself does that. Nor are they
 * told why their key was refused: developers find that at level debug, in one line, since any client can cause it.
 */
export function logFault(error: LockError, answer: EdgeAnswer | undefined): void {
  if (!answer) logger.error(error);
  else if (error instanceof LockKeyError) logger.debug(error.message);
}

/**
 * Nest applies no global filters to gateways, not even those of APP_FILTER. So theirs get one, behind all of their own.
 * To be called before the gateways' handlers are registered, that is, before `onModuleInit`.
 */
export function coverGateways(modules: ModulesContainer): void {
  if (answeringIn(modules).every(({ settings }) => settings === undefined)) return;
  const filter = gatewayFilter(modules);
  for (const { providers } of modules.values()) {
    for (const { metatype } of providers.values()) {
      if (typeof metatype !== 'function' || !Reflect.hasMetadata(GATEWAY, metatype)) continue;
      const all = (Reflect.getMetadata(FILTERS, metatype) ?? []) as unknown[];
      // Another module, or another application of the same class, may have been here before.
      const own = all.filter((one) => !(one instanceof GatewayFilter));
      Reflect.defineMetadata(FILTERS, [filter, ...own], metatype);
    }
  }
}
