import { Catch, HttpException, Inject, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { BaseExceptionFilter, HttpAdapterHost } from '@nestjs/core';
import { throwError } from 'rxjs';
import { named } from '../../common/brand.js';
import { LockError } from '../../common/errors.js';
import { settingsOf } from './exception.settings.js';
import { logFault, tellClient } from './gateway.filter.js';
import { responseTo } from './lock-error-response.js';
import { answerTo, INTERNAL, type EdgeAnswer, type LockErrorStatuses } from './lock-error-statuses.js';

/**
 * Answers requests that failed because of a lock. The module registers one for the whole application (option
 * `exceptionFilter`); it leaves errors to filters of the application that name LockError or a subclass in `@Catch`.
 *
 * WebSocket gateways get it as their last filter, because Nest applies no global filters to them. A microservice of a
 * hybrid application needs `connectMicroservice(options, { inheritAppConfig: true })`.
 *
 * HTTP: busy 423 with `Retry-After: 1`; unreachable, lost, overloaded, shutting down 503; a key that a decorator could
 * not build from the arguments of the call 400, logged at debug level; an application error 500, logged by Nest. On
 * other transports the error is passed on in the form that they send to clients. No response names a key.
 *
 * A catch-all filter can extend this class and pass each LockError to `super.catch`.
 */
@Catch(LockError)
export class LockExceptionFilter implements ExceptionFilter<LockError> {
  constructor(@Inject(HttpAdapterHost) private readonly adapters: HttpAdapterHost) {}

  catch(error: LockError, host: ArgumentsHost): unknown {
    const settings = this.settingsFor(error);
    const answer = answerTo(error, settings);
    const context = host.getType<string>();
    if (context === 'http') return this.overHttp(error, answer, host);
    if (context === 'ws') return tellClient(error, settings, host);
    logFault(error, answer);
    const { message } = answer ?? INTERNAL;
    const payload = { status: 'error', message, code: error.code };
    if (context === 'rpc') return throwError(() => payload);
    // GraphQL and other transports use what is thrown here; `extensions` reaches GraphQL clients.
    throw Object.assign(new Error(message, { cause: error }), { extensions: { code: error.code } });
  }

  /** @internal */
  protected settingsFor(error: LockError): LockErrorStatuses {
    return settingsOf(error);
  }

  private overHttp(error: LockError, answer: EdgeAnswer | undefined, host: ArgumentsHost): void {
    const adapter = this.adapters.httpAdapter;
    const nest = new BaseExceptionFilter(adapter);
    if (!answer) return nest.catch(error, host);
    logFault(error, answer);
    const { status, headers, body } = responseTo(error, answer);
    const response: unknown = host.switchToHttp().getResponse();
    if (!adapter.isHeadersSent(response)) {
      for (const [name, value] of Object.entries(headers)) adapter.setHeader(response, name, value);
    }
    return nest.catch(new HttpException(body, status, { cause: error }), host);
  }
}

named(LockExceptionFilter, 'LockExceptionFilter');
