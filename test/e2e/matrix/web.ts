import {
  BadRequestException,
  Body,
  Catch,
  Controller,
  Delete,
  Get,
  Header,
  Headers,
  HttpCode,
  Inject,
  Injectable,
  Param,
  ParseIntPipe,
  Patch,
  Post,
  Put,
  Query,
  Redirect,
  SetMetadata,
  Sse,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
  type Type,
} from '@nestjs/common';
import { HttpAdapterHost, Reflector } from '@nestjs/core';
import { ApiBody, ApiOperation, ApiProperty, ApiQuery, ApiResponse } from '@nestjs/swagger';
import { map, Observable, of } from 'rxjs';
import { WithLock } from '../../../lib/entries/index.js';
import { held, SCOPES, stack, type Position, type ScopeName } from './stack.js';

@Injectable()
class RoleGuard implements CanActivate {
  constructor(@Inject(Reflector) private readonly reflector: Reflector) {}
  canActivate(context: ExecutionContext): boolean {
    const wanted = this.reflector.get<string>('role', context.getHandler());
    return context.switchToHttp().getRequest().headers['x-role'] === wanted;
  }
}

class Bracketing implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((value) => `[${String(value)}]`));
  }
}

class Shouting implements PipeTransform {
  transform(value: unknown): unknown {
    return typeof value === 'string' ? value.toUpperCase() : value;
  }
}

@Catch(RangeError)
class Teapot implements ExceptionFilter {
  constructor(@Inject(HttpAdapterHost) private readonly host: HttpAdapterHost) {}
  catch(error: Error, host: ArgumentsHost): void {
    this.host.httpAdapter.reply(host.switchToHttp().getResponse(), error.message, 418);
  }
}

export class Order {
  @ApiProperty()
  id!: string;
  @ApiProperty({ required: false })
  note?: string;
}

/** A controller with every kind of decorator that HTTP handlers have. */
export function webController(position: Position | 'none', scope: ScopeName): Type {
  const at = (key: string, ...others: MethodDecorator[]): MethodDecorator =>
    position === 'none'
      ? stack('above', () => undefined, ...others)
      : stack(position, WithLock(key) as MethodDecorator, ...others);

  @Controller({ path: `${position}/${scope}`, ...SCOPES[scope] })
  class Web {
    // Of a transient controller Nest calls one whose constructor has not run.
    readonly prefix: string | undefined = 'web';

    @at('get:{0}', Get('get/:id'))
    async get(@Param('id') id: string): Promise<string> {
      return `${held()} ${id} ${this.prefix ?? 'web'}`;
    }

    @at('post:{0.id}', Post('post'))
    async post(@Body() order: Order): Promise<string> {
      return `${held()} ${order.note}`;
    }

    @at('put:{0}', Put('put/:id'))
    async put(@Param('id', ParseIntPipe) id: number): Promise<string> {
      return `${held()} ${typeof id}`;
    }

    @at('patch:{1}', Patch('patch'))
    async patch(@Query('a') a: string, @Query('b') b: string): Promise<string> {
      return `${held()} ${a}${b}`;
    }

    @at('delete', Delete('delete'))
    async delete(): Promise<string> {
      return held();
    }

    @at('code', Get('code'), HttpCode(202), Header('x-kept', 'yes'))
    async code(): Promise<string> {
      return held();
    }

    @at('redirect', Get('redirect'), Redirect('/elsewhere', 307))
    async redirect(): Promise<object | undefined> {
      return held() === 'redirect' ? undefined : { url: '/unlocked' };
    }

    @at('guard', Get('guard'), UseGuards(RoleGuard), SetMetadata('role', 'admin'))
    async guard(): Promise<string> {
      return held();
    }

    @at('interceptor', Get('interceptor'), UseInterceptors(Bracketing))
    async interceptor(): Promise<string> {
      return held();
    }

    @at('pipe:{0}', Get('pipe/:id'), UsePipes(Shouting))
    async pipe(@Param('id') id: string): Promise<string> {
      return `${held()} ${id}`;
    }

    @at('filter', Get('filter'), UseFilters(Teapot))
    async filter(): Promise<string> {
      throw new RangeError(held());
    }

    @at('error', Get('error'))
    async error(): Promise<string> {
      throw new BadRequestException(held());
    }

    @at('header:{0}', Get('header'))
    async header(@Headers('x-id') id: string): Promise<string> {
      return `${held()} ${id}`;
    }

    @(position === 'none'
      ? Sse('sse')
      : stack(position, WithLock('sse', { returns: 'observable' }) as MethodDecorator, Sse('sse')))
    sse(): Observable<{ data: string }> {
      return of({ data: held() });
    }

    @at(
      'api:{0.id}',
      Post('api'),
      ApiOperation({ summary: 'orders' }),
      ApiBody({ type: Order }),
      ApiQuery({ name: 'dry', type: Boolean }),
      ApiResponse({ status: 201, type: Order }),
    )
    async api(@Body() order: Order, @Query('dry') _dry: boolean): Promise<Order> {
      return order;
    }
  }
  return Web;
}

interface Row {
  readonly name: string;
  readonly path: string;
  readonly init?: RequestInit;
  readonly status?: number;
  readonly text?: string | RegExp;
  readonly header?: readonly [name: string, value: string];
}

const json = (body: object): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});

export const WEB_ROWS: readonly Row[] = [
  { name: '@Get', path: 'get/7', text: 'get:7 7 web' },
  { name: '@Post and @Body', path: 'post', init: json({ id: 'a:b', note: 'n' }), status: 201, text: 'post:a%3Ab n' },
  { name: '@Put and a pipe of the parameter', path: 'put/7', init: { method: 'PUT' }, text: 'put:7 number' },
  { name: 'a pipe of the parameter that refuses', path: 'put/x', init: { method: 'PUT' }, status: 400 },
  { name: '@Patch and @Query', path: 'patch?a=x&b=y', init: { method: 'PATCH' }, text: 'patch:y xy' },
  { name: '@Delete', path: 'delete', init: { method: 'DELETE' }, text: 'delete' },
  { name: '@HttpCode and @Header', path: 'code', status: 202, text: 'code', header: ['x-kept', 'yes'] },
  {
    name: '@Redirect',
    path: 'redirect',
    init: { redirect: 'manual' },
    status: 307,
    header: ['location', '/elsewhere'],
  },
  {
    name: '@UseGuards and @SetMetadata',
    path: 'guard',
    init: { headers: { 'x-role': 'admin' } },
    text: 'guard',
  },
  { name: 'a guard that refuses', path: 'guard', status: 403 },
  { name: '@UseInterceptors', path: 'interceptor', text: '[interceptor]' },
  { name: '@UsePipes', path: 'pipe/abc', text: 'pipe:ABC ABC' },
  { name: '@UseFilters', path: 'filter', status: 418, text: 'filter' },
  { name: "the method's own error", path: 'error', status: 400, text: /"message":"error"/ },
  { name: '@Headers', path: 'header', init: { headers: { 'x-id': 'h' } }, text: 'header:h h' },
  { name: 'a value that makes no key', path: 'header', status: 400 },
  { name: '@Sse', path: 'sse', text: /data: sse/, header: ['content-type', 'text/event-stream'] },
];
