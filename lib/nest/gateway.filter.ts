import 'reflect-metadata';
import { Catch, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { LockError } from '../common/errors.js';
import { LOG_CONTEXT } from './dflockd.constants.js';
import { answerTo, INTERNAL } from './lock-exception.table.js';

/** Names in all versions of Nest; not exported in all of them. */
const GATEWAY = 'websockets:is_gateway';
const FILTERS = '__exceptionFilters__';

/** A client of socket.io, or a WebSocket, whose `emit` reaches nobody but itself. */
interface Client {
  emit?(event: string, data: unknown): void;
  send?(message: string): void;
  readyState?: unknown;
}

/** Tells WebSocket clients about failed locks, as `exception` events. */
@Catch(LockError)
export class GatewayFilter implements ExceptionFilter<LockError> {
  catch(error: LockError, host: ArgumentsHost): void {
    const answer = answerTo(error);
    if (!answer) logMistake(error);
    const { message } = answer ?? INTERNAL;
    const data = { status: 'error', message, code: error.code };
    const client = host.switchToWs().getClient<Client>();
    if (typeof client.readyState === 'number' && client.send) client.send(JSON.stringify({ event: 'exception', data }));
    else client.emit?.('exception', data);
  }
}

const logger = new Logger(LOG_CONTEXT);

/** Clients are told nothing of it, so the log has to. Over HTTP Nest itself does that. */
export const logMistake = (error: LockError): void => logger.error(error);

const filter = new GatewayFilter();

/**
 * Nest applies no global filters to gateways, not even those of APP_FILTER. So theirs get this one, behind all of their own.
 * To be called before the gateways' handlers are registered, that is, before `onModuleInit`.
 */
export function coverGateways(modules: ModulesContainer): void {
  for (const { providers } of modules.values()) {
    for (const { metatype } of providers.values()) {
      if (typeof metatype !== 'function' || !Reflect.hasMetadata(GATEWAY, metatype)) continue;
      const own = (Reflect.getMetadata(FILTERS, metatype) ?? []) as unknown[];
      if (!own.includes(filter)) Reflect.defineMetadata(FILTERS, [filter, ...own], metatype);
    }
  }
}
