import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ConfigError } from '../common/errors.js';
import { show } from '../common/shown.js';
import { plainAddress } from './fairness/admission.js';
import type { HttpConnection } from './http/exchange/http-connection.js';
import type { HttpService } from './http/http-service.js';
import { type DflockdServer, httpOf } from './server.js';

/** Options of `createHttpHandler`. */
export interface HttpHandlerOptions {
  /**
   * The path below which the routes are, such as `/dflockd`. Needed where the request's `url` still contains it: in a
   * route of a controller, but not with `app.use(path, handler)` of Express. Default: none.
   */
  path?: string | undefined;
}

/** Serves a request of an application's HTTP server. */
export type HttpHandler = (req: IncomingMessage, res: ServerResponse) => void;

/** What frameworks that cut the path off leave behind. */
type Mounted = IncomingMessage & { readonly originalUrl?: string };

/**
 * The HTTP interface of a server as a handler for an application's own HTTP server: `app.use('/dflockd', handler)`, or a
 * route of a controller that passes on the raw request and response. It must be mounted before body parsers. It needs
 * no port, and ends with `server.close()`.
 * @throws ConfigError if the path is not one
 */
export function createHttpHandler(server: DflockdServer, { path = '' }: HttpHandlerOptions = {}): HttpHandler {
  if (typeof path !== 'string' || !/^(?:\/[!-"$->@-~]*)?$/.test(path)) {
    throw new ConfigError(`option path must begin with a slash, got ${show(path)}`);
  }
  const base = path.replace(/\/+$/, '');
  const connections = new WeakMap<Socket, HttpConnection>();
  let service: HttpService | undefined;
  const serve: HttpHandler = (req, res) => {
    const { socket } = req;
    if (socket.destroyed) return;
    const url = base === '' ? req.url! : ((req as Mounted).originalUrl ?? req.url!);
    let connection = connections.get(socket);
    if (!connection) {
      connection = service!.connect(socket, plainAddress(socket.remoteAddress), false);
      connections.set(socket, connection);
    }
    if (!isBelow(url, base)) return service!.mounted(connection, req, res, '/', base);
    service!.mounted(connection, req, res, url.slice(base.length) || '/', base || mountPath(req));
  };
  return (req, res) => {
    if (service) return serve(req, res);
    void httpOf(server).then((loaded) => {
      service = loaded;
      serve(req, res);
    });
  };
}

const isBelow = (url: string, base: string): boolean =>
  url.startsWith(base) && /^(?:[/?]|$)/.test(url.slice(base.length));

/** The path that the framework has cut off, for redirects. */
function mountPath(req: Mounted): string {
  const { originalUrl, url } = req;
  return originalUrl !== undefined && originalUrl.endsWith(url!) ? originalUrl.slice(0, -url!.length) : '';
}
