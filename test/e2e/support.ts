import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { INestApplication, INestMicroservice, LoggerService, ModuleMetadata } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { NestFactory, type AbstractHttpAdapter } from '@nestjs/core';
import { ClientProxyFactory, Transport } from '@nestjs/microservices';
import { Test, type TestingModule } from '@nestjs/testing';
import type { Observable } from 'rxjs';
import { DflockdServer } from '../../lib/daemon/server.js';
import { DflockdModule, type DflockdModuleOptions } from '../../lib/entries/index.js';
import { until } from '../support/until.js';

export { until };

const opened: (() => Promise<unknown>)[] = [];

/** Closes what the helpers below have opened, the youngest first. For `afterEach`. */
export async function closeAll(): Promise<void> {
  for (const close of opened.splice(0).reverse()) await close();
}

/** Has `closeAll` close something more. */
export const closing = (close: () => Promise<unknown>): unknown => opened.push(close);

/** A point that a test lets others pass. */
export class Gate {
  open!: () => void;
  readonly opened = new Promise<void>((resolve) => (this.open = resolve));
}

export interface HttpApp {
  readonly app: INestApplication;
  fetch(path: string, init?: RequestInit): Promise<Response>;
}

export interface HttpOptions {
  adapter?: AbstractHttpAdapter;
  /** Before it listens. */
  prepare?: (app: INestApplication) => unknown;
  /** For tests whose clients leave: what they have left open is not waited for. */
  forceCloseConnections?: boolean;
}

/** An application as users make one, on a port of its own. */
export async function bootHttp(
  metadata: ModuleMetadata,
  logger: LoggerService | false = false,
  { adapter, prepare, forceCloseConnections }: HttpOptions = {},
): Promise<HttpApp> {
  @Module(metadata)
  class AppModule {}
  const options = { logger, abortOnError: false, forceCloseConnections };
  const app = await (adapter
    ? NestFactory.create(AppModule, adapter, options)
    : NestFactory.create(AppModule, options));
  await prepare?.(app);
  opened.push(() => app.close());
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  return { app, fetch: (path, init) => fetch(url + path, init) };
}

export interface RpcApp {
  readonly app: INestMicroservice;
  send(pattern: string, data: object): Observable<unknown>;
}

/** A microservice over TCP, and a client of it. */
export async function bootRpc(metadata: ModuleMetadata, logger: LoggerService | false = false): Promise<RpcApp> {
  @Module(metadata)
  class AppModule {}
  const options = { host: '127.0.0.1', port: 0 };
  const app = await NestFactory.createMicroservice(AppModule, {
    transport: Transport.TCP,
    options,
    logger,
    abortOnError: false,
  });
  opened.push(() => app.close());
  await app.listen();
  const { port } = app.unwrap<Server>().address() as AddressInfo;
  const client = ClientProxyFactory.create({ transport: Transport.TCP, options: { ...options, port } });
  opened.push(async () => client.close());
  return { app, send: (pattern, data) => client.send(pattern, data) };
}

/** An application without HTTP, started. */
export async function boot(metadata: ModuleMetadata): Promise<TestingModule> {
  const app = await Test.createTestingModule(metadata).setLogger(silent).compile();
  opened.push(() => app.close());
  return app.init();
}

/** A provider of this type, in an application with nothing else but the module. */
export async function start<T>(
  type: new (...args: any[]) => T,
  options: DflockdModuleOptions = { embedded: true },
): Promise<T> {
  const app = await boot({ imports: [DflockdModule.forRoot({ ...options, logger: false })], providers: [type] });
  return app.get(type);
}

/** The error with which an application refuses to start. */
export async function bootError(metadata: ModuleMetadata): Promise<Error> {
  try {
    await boot(metadata);
  } catch (error) {
    return error as Error;
  }
  throw new Error('the application has started');
}

export const silent: LoggerService = { log() {}, warn() {}, error() {}, debug() {} };

/** Keeps what is logged: `level context: message`. */
export class LogBook implements LoggerService {
  readonly lines: string[] = [];
  log = this.writer('log');
  warn = this.writer('warn');
  error = this.writer('error');
  debug = this.writer('debug');

  private writer(level: string) {
    return (message: unknown, ...rest: unknown[]) => {
      this.lines.push(`${level} ${String(rest.at(-1))}: ${String(message)}`);
    };
  }

  matching(pattern: RegExp): string[] {
    return this.lines.filter((line) => pattern.test(line));
  }
}

/** A daemon on a free port; returns the address for `servers`. */
export async function daemon(): Promise<string> {
  const server = new DflockdServer({ port: 0, shutdownTimeout: 0.1 });
  opened.push(() => server.close());
  const { host, port } = await server.listen();
  return `${host}:${port}`;
}

/** A wire between clients and a daemon that can be cut. */
export class Wire {
  private readonly sockets = new Set<Socket>();
  private readonly server = createServer((near) => {
    const far = connect({ host: this.host, port: this.port });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.sockets.add(socket);
      socket.pipe(other);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.sockets.delete(socket);
        other.destroy();
      });
    }
  });
  private readonly host: string;
  private readonly port: number;

  private constructor(target: string) {
    const colon = target.lastIndexOf(':');
    this.host = target.slice(0, colon);
    this.port = Number(target.slice(colon + 1));
  }

  static async to(target: string): Promise<Wire> {
    const wire = new Wire(target);
    await new Promise<void>((resolve) => wire.server.listen(0, '127.0.0.1', resolve));
    opened.push(() => wire.close());
    return wire;
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Ends all connections; new ones are taken again. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  private close(): Promise<void> {
    this.cut();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }
}
