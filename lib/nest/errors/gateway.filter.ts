import 'reflect-metadata';
import { Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { LockError, LockKeyError } from '../../common/errors.js';
import { CatchIf } from './catch.types.js';
import { LOG_CONTEXT } from '../shared/dflockd.constants.js';
import { answeringIn, answeringOf } from './exception.settings.js';
import { answerTo, INTERNAL, type EdgeAnswer, type LockErrorStatuses } from './lock-error-statuses.js';

/** The same in all versions of Nest, but not exported in all of them. */
const GATEWAY = 'websockets:is_gateway';
const FILTERS = '__exceptionFilters__';

/** A socket.io client, or a WebSocket, whose `emit` stays local. */
interface Client {
  emit?(event: string, data: unknown): void;
  send?(message: string): void;
  readyState?: unknown;
}

/** Sends a failed lock to a WebSocket client as an `exception` event. */
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

/** Nest reads what a filter catches from its class. */
function gatewayFilter(modules: ModulesContainer): GatewayFilter {
  class Its extends GatewayFilter {}
  CatchIf((error) => answeringOf(modules, error)?.settings !== undefined)(Its);
  return new Its(modules);
}

const logger = new Logger(LOG_CONTEXT);

/**
 * Logs an application error, because clients are told nothing about it; over HTTP Nest itself does that. A refused key
 * is logged at debug level, in one line, because clients are not told the reason and any client can cause it.
 */
export function logFault(error: LockError, answer: EdgeAnswer | undefined): void {
  if (!answer) logger.error(error);
  else if (error instanceof LockKeyError) logger.debug(error.message);
}

/**
 * Adds a filter to gateways, behind all of their own, because Nest applies no global filters to them, not even those of
 * APP_FILTER. Must be called before the gateways' handlers are registered, that is, before `onModuleInit`.
 */
export function coverGateways(modules: ModulesContainer): void {
  if (answeringIn(modules).every(({ settings }) => settings === undefined)) return;
  const filter = gatewayFilter(modules);
  for (const { providers } of modules.values()) {
    for (const { metatype } of providers.values()) {
      if (typeof metatype !== 'function' || !Reflect.hasMetadata(GATEWAY, metatype)) continue;
      const all = (Reflect.getMetadata(FILTERS, metatype) ?? []) as unknown[];
      // Another module, or another application with the same class, may have added one before.
      const own = all.filter((one) => !(one instanceof GatewayFilter));
      Reflect.defineMetadata(FILTERS, [filter, ...own], metatype);
    }
  }
}
