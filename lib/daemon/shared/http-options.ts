import { ConfigError } from '../../common/errors.js';
import { show } from '../../common/shown.js';
import { MAX_SECONDS } from '../../protocol/limits.js';

/** The options of the HTTP interface. Durations are seconds. */
export interface HttpServerOptions {
  /** Port of the HTTP interface; 0, the default, is off. Must differ from `port`. */
  httpPort?: number | undefined;
  /** Default: `host`. */
  httpHost?: string | undefined;
  /**
   * A session over HTTP that no request names for twice as long is ended; 0 = never. Independently of it, `readTimeout`
   * ends a session that executes nothing. A whole number. Default 20.
   */
  httpSessionIdleTimeout?: number | undefined;
  /** Maximum number of sessions over HTTP, streams of signals included; 0 = unlimited, the default. */
  httpMaxSessions?: number | undefined;
  /** The same for one address; 0 = unlimited, the default. */
  httpMaxSessionsPerIp?: number | undefined;
  /** Maximum number of HTTP connections from one address; 0 = unlimited, the default. */
  httpMaxConnectionsPerIp?: number | undefined;
  /** Maximum number of HTTP requests per second from one address; 0 = unlimited, the default. */
  httpRateLimitPerIp?: number | undefined;
  /** How many requests an address may send at once before the rate applies; 0, the default, = a second's worth. */
  httpRateLimitBurst?: number | undefined;
  /** How often the sessions of signal streams are pinged; 0 means 15. Must be below `httpSessionIdleTimeout`. Default 15. */
  httpSsePingInterval?: number | undefined;
  /**
   * Whether a stream of signals that has been silent for `httpSsePingInterval` gets a comment (`:`), which clients ignore:
   * for proxies that close silent connections. Default false: as of dflockd, no bytes are sent.
   */
  httpSseKeepAlive?: boolean | undefined;
  /** Origins whose pages may use the HTTP interface, such as `https://example.com`; `*` = any. Default: none. */
  httpCorsAllowedOrigins?: readonly string[] | undefined;
}

/** The range of a numeric option, bounds included. `above`: `least` itself is refused. */
export interface NumberBounds {
  readonly least: number;
  readonly above?: true;
  readonly most?: number;
  readonly whole?: true;
}

/** The name of an option for messages, as the user wrote it: a property or a flag. */
export type NameOfOption = (option: string) => string;

const DEFAULT_SSE_PING_S = 15;

export const HTTP_DEFAULTS = {
  httpPort: 0,
  httpHost: '',
  httpSessionIdleTimeout: 20,
  httpMaxSessions: 0,
  httpMaxSessionsPerIp: 0,
  httpMaxConnectionsPerIp: 0,
  httpRateLimitPerIp: 0,
  httpRateLimitBurst: 0,
  httpSsePingInterval: DEFAULT_SSE_PING_S,
  httpSseKeepAlive: false,
  httpCorsAllowedOrigins: [],
} as const;

type HttpNumber = {
  [K in keyof typeof HTTP_DEFAULTS]: (typeof HTTP_DEFAULTS)[K] extends number ? K : never;
}[keyof typeof HTTP_DEFAULTS];

export const HTTP_NUMBERS: Readonly<Record<HttpNumber, NumberBounds>> = {
  httpPort: { least: 0, most: 65_535, whole: true },
  httpSessionIdleTimeout: { least: 0, most: MAX_SECONDS, whole: true },
  httpMaxSessions: { least: 0, whole: true },
  httpMaxSessionsPerIp: { least: 0, whole: true },
  httpMaxConnectionsPerIp: { least: 0, whole: true },
  httpRateLimitPerIp: { least: 0, whole: true },
  httpRateLimitBurst: { least: 0, whole: true },
  httpSsePingInterval: { least: 0, most: MAX_SECONDS },
};

/** The interval of pings. @throws ConfigError if sessions would be idle for too long between two */
export function ssePing(options: HttpServerOptions, nameOf: NameOfOption): number {
  const { httpSsePingInterval: given, httpSessionIdleTimeout: idle = HTTP_DEFAULTS.httpSessionIdleTimeout } = options;
  const ping = given || DEFAULT_SSE_PING_S;
  if (idle === 0 || ping < idle) return ping;
  const [pings, idles] = [nameOf('httpSsePingInterval'), nameOf('httpSessionIdleTimeout')];
  if (given) throw new ConfigError(`${pings}: expected less than ${idles}, which is ${idle} s, got ${ping}`);
  throw new ConfigError(`${idles}: expected 0 or more than ${pings}, which is ${ping} s, got ${idle}`);
}

/** It becomes a header of answers. */
const isOrigin = (origin: unknown): boolean => typeof origin === 'string' && /^[ \t]*[!-~]*[ \t]*$/.test(origin);

/** The origins, trimmed, without empty ones. @throws ConfigError */
export function originsOf(origins: unknown, nameOf: NameOfOption): readonly string[] {
  const name = nameOf('httpCorsAllowedOrigins');
  if (!Array.isArray(origins)) throw new ConfigError(`${name}: expected a list of origins, got ${show(origins)}`);
  for (const origin of origins) {
    if (isOrigin(origin)) continue;
    throw new ConfigError(`${name}: expected origins such as https://example.com, got ${show(origin)}`);
  }
  return Object.freeze((origins as string[]).map((origin) => origin.trim()).filter((origin) => origin !== ''));
}
