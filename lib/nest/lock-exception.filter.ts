import { STATUS_CODES } from 'node:http';
import { Catch, HttpException, Inject, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { BaseExceptionFilter, HttpAdapterHost } from '@nestjs/core';
import { throwError } from 'rxjs';
import { named } from '../common/brand.js';
import { LockError } from '../common/errors.js';
import type { DflockdModuleOptions } from './dflockd.options.js';
import { GatewayFilter, logFault } from './gateway.filter.js';
import { answerTo, INTERNAL, type EdgeAnswer, type EdgeSettings } from './lock-exception.table.js';

/** Seconds after which a client may try again. */
const RETRY_AFTER = '1';

/**
 * Answers requests that failed over a lock. Registered by the module (option `exceptionFilter`) for the whole application.
 *
 * WebSocket gateways get it at the place of their last filter: Nest knows no global filters for them. A microservice of a
 * hybrid application needs `connectMicroservice(options, { inheritAppConfig: true })`.
 *
 * HTTP: busy 423 with `Retry-After: 1`; unreachable, lost, overloaded, shutting down 503; a key that a decorator could not
 * make from the arguments of the call 400, in the log at debug; what is a mistake in the application 500, logged by Nest.
 * Elsewhere the error goes on in the form that the transport sends to clients. No answer
 * names a key.
 */
@Catch(LockError)
export class LockExceptionFilter implements ExceptionFilter<LockError> {
  private settings: EdgeSettings = {};

  constructor(@Inject(HttpAdapterHost) private readonly adapters: HttpAdapterHost) {}

  catch(error: LockError, host: ArgumentsHost): unknown {
    const answer = answerTo(error, this.settings);
    const context = host.getType<string>();
    if (context === 'http') return this.overHttp(error, answer, host);
    if (context === 'ws') return new GatewayFilter(this.settings).catch(error, host);
    logFault(error, answer);
    const { message } = answer ?? INTERNAL;
    const payload = { status: 'error', message, code: error.code };
    if (context === 'rpc') return throwError(() => payload);
    // GraphQL and others take what is thrown here; `extensions` reaches GraphQL's clients.
    throw Object.assign(new Error(message, { cause: error }), { extensions: { code: error.code } });
  }

  /** @internal */
  configure(setting: DflockdModuleOptions['exceptionFilter']): void {
    if (setting === false) Catch(class Nothing {})(this.constructor);
    else if (typeof setting === 'object') this.settings = setting;
  }

  private overHttp(error: LockError, answer: EdgeAnswer | undefined, host: ArgumentsHost): void {
    const adapter = this.adapters.httpAdapter;
    const nest = new BaseExceptionFilter(adapter);
    if (!answer) return nest.catch(error, host);
    logFault(error, answer);
    const { status } = answer;
    const response: unknown = host.switchToHttp().getResponse();
    if (answer.busy && !adapter.isHeadersSent(response)) adapter.setHeader(response, 'Retry-After', RETRY_AFTER);
    const body = { statusCode: status, message: answer.message, error: STATUS_CODES[status], code: error.code };
    return nest.catch(new HttpException(body, status, { cause: error }), host);
  }
}

named(LockExceptionFilter, 'LockExceptionFilter');

/**
 * The filter of a module. Nest wants it before the options are known, and reads from its class what it catches: so each
 * has a class of its own.
 */
export function moduleFilter(adapters: HttpAdapterHost): LockExceptionFilter {
  return new (class extends LockExceptionFilter {})(adapters);
}
