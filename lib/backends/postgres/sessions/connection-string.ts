import { ConfigError } from '../../../common/errors.js';

/** What of the parameters of a URL is left to pg. Prisma writes further ones there; time-outs are none of ours. */
const KEPT = new Set([
  'host', 'port', 'user', 'password', 'db', 'encoding', 'options', 'ssl', 'sslmode', 'sslcert', 'sslkey', 'sslrootcert',
  'sslnegotiation', 'uselibpqcompat',
]); // prettier-ignore

/** What messages call the option that was given. */
const WHAT = 'the connection string of postgresBackend';

export interface ConnectionString {
  /** For pg. */
  readonly text: string;
  /** It says `pgbouncer=true`, as Prisma asks for behind a pooler in transaction mode. */
  readonly namesPooler: boolean;
}

/**
 * A connection string without what does not concern these connections.
 * @throws ConfigError, which does not show the string
 */
export function readConnectionString(given: string): ConnectionString {
  const text = given.trim();
  if (text === '') {
    throw new ConfigError(`${WHAT} is empty; is an environment variable not set?`);
  }
  // The path of a socket, as pg takes it.
  if (text.startsWith('/')) return { text, namesPooler: false };
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
  if (scheme === 'prisma' || scheme === 'prisma+postgres') {
    throw new ConfigError(
      `${WHAT} begins with ${scheme}://, an address of Prisma's own service, which no other program can use; give the ` +
        'direct address of the database, postgres://…',
    );
  }
  if (scheme === 'socket') return { text, namesPooler: false };
  if (!/^(?:postgres|postgresql):\/\//i.test(text)) {
    const got = scheme !== undefined && /^[^:]*:\/\//.test(text) ? `; it begins with ${scheme}://` : '';
    throw new ConfigError(
      `${WHAT} must begin with postgres:// or postgresql://${got}; for anything else, give a configuration object`,
    );
  }
  const start = text.indexOf('?');
  if (/^\w+:\/\/\/?$/.test(start < 0 ? text : text.slice(0, start)) && !/[?&]host=[^&]/.test(text)) {
    throw new ConfigError(`${WHAT} names neither a host nor a database`);
  }
  refuseSeveralHosts(/^\w+:\/\/(?:[^/?]*@)?([^/?]*)/.exec(text)![1]!);
  if (start < 0) return { text, namesPooler: false };
  const parameters = text.slice(start + 1).split('&');
  for (const one of parameters) if (nameOf(one) === 'host') refuseSeveralHosts(one.replace(/%2c/gi, ','));
  const kept = parameters.filter((one) => KEPT.has(nameOf(one)));
  return {
    text: text.slice(0, start) + (kept.length > 0 ? `?${kept.join('&')}` : ''),
    namesPooler: parameters.includes('pgbouncer=true'),
  };
}

const nameOf = (parameter: string): string => parameter.split('=', 1)[0]!;

/** libpq tries one after the other; pg would look them up as one name, again and again. @throws ConfigError */
export function refuseSeveralHosts(host: string): void {
  if (!host.includes(',')) return;
  throw new ConfigError('postgresBackend: several hosts are given, but pg connects to one; give that of the primary');
}
