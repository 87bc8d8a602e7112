import { AuthError, ConfigError, type LockError, LockUnavailableError, ProtocolError } from '../../../common/errors.js';
import { kindOf } from '../../../common/kind-of.js';

/** Characters of a text of Postgres, of `pg` or of Node that a message shows. */
const MAX_CHARACTERS = 200;

const SQL_STATE = /^[0-9A-Z]{5}$/;
/** Node's: EPIPE has five characters too. */
const NODE_CODE = /^E[A-Z]+$/;

/** The SQLSTATE with which the server refused, of its own error or of a typed one. Undefined: it was not the server. */
export function sqlStateOf(error: unknown): string | undefined {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: unknown };
  if (typeof code === 'string' && SQL_STATE.test(code) && !NODE_CODE.test(code)) return code;
  return cause === undefined || cause === null ? undefined : sqlStateOf(cause);
}

/** Whether there was no room for another connection. */
export const hasNoRoom = (error: unknown): boolean => sqlStateOf(error) === '53300';

/** Why the server ended a session, in words. */
const ENDS: Readonly<Record<string, string>> = {
  '57P01': 'an administrator ended it, or the server is shutting down',
  '57P02': 'the server ended all sessions, because one of its processes crashed or it was stopped at once',
  '57P03': 'the server is not ready',
  '57P04': 'the database was dropped',
  '57P05':
    'it was silent for too long, because the process or the network stood still (option postgresBackend.sessionTimeoutMs)',
  '25P03': 'the server ended it in a transaction',
  '25P04': 'the server ended it after its transaction_timeout',
};

/** Whether the session is over, or is not to be trusted any more. Severities are translated and cannot be used. */
export const endsSession = (sqlState: string | undefined): boolean =>
  sqlState === undefined || sqlState in ENDS || /^(08...|53100|58030|XX000)$/.test(sqlState);

/** The error for those who used a session that has ended. */
export function endedError(error: unknown, server: string): LockUnavailableError {
  const why = ENDS[sqlStateOf(error) ?? ''];
  const text = textOf(error);
  return new LockUnavailableError(`the session on Postgres at ${server} has ended: ${why ?? text}`, {
    server,
    cause: causeOf(error, text),
  });
}

/** The error for a statement that the server refused, on a session that goes on. */
export function statementError(error: unknown, server: string): LockError {
  const text = textOf(error);
  const details = { server, cause: causeOf(error, text) };
  const sqlState = sqlStateOf(error) ?? '';
  if (sqlState === '42501') return new ConfigError(`Postgres at ${server} denies a right: ${text}`, details);
  if (sqlState === '57014') {
    return new LockUnavailableError(`somebody cancelled a statement on Postgres at ${server}`, details);
  }
  if (sqlState === '53200') {
    const hint = 'its lock table is full; raise max_locks_per_transaction or lower the option postgresBackend.maxHeld';
    return new LockUnavailableError(`Postgres at ${server} is out of memory, usually because ${hint}`, details);
  }
  // 42P01: a table that was there at the start.
  if (/^(5[3578]...|40...|55...|42P01)$/.test(sqlState) && sqlState !== '40P01') {
    return new LockUnavailableError(`Postgres at ${server} is not available: ${text}`, details);
  }
  return new ProtocolError(`Postgres at ${server} answered: ${text}`, { ...details, isTransient: false });
}

/** Prisma accepts any certificate where pg does not. */
const CERTIFICATE_HINT =
  '; give the certificate authority (ssl.ca, or sslrootcert), or trust any server (sslmode=no-verify)';

export interface Circumstances {
  readonly server: string;
  /** The server has accepted this client before: that it does not now may come right again. */
  readonly wasAccepted: boolean;
}

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET_ISSUER)|ERR_SSL|ERR_TLS|ERR_OSSL/;

/** The error for a connection that could not be made. */
export function connectError(error: unknown, { server, wasAccepted }: Circumstances): LockError {
  const text = textOf(error);
  const details = { server, cause: causeOf(error, text) };
  const refused = { ...details, isTransient: wasAccepted };
  const sqlState = sqlStateOf(error);
  // Words of pg.
  if (/password must be a string/i.test(text)) {
    return new AuthError(refused, `Postgres at ${server} asks for a password, and none was given (pg: ${text})`);
  }
  if (
    sqlState?.startsWith('28') === true ||
    /^no such user|authentication failed|^Tenant or user not found/i.test(text)
  ) {
    return new AuthError(refused, `Postgres at ${server} refused the role or its password: ${text}${tlsHint(text)}`);
  }
  if (sqlState === '3D000' || /^no such database|^database ".*" does not exist/i.test(text)) {
    return new ConfigError(`Postgres at ${server}: ${text}`, refused);
  }
  if (sqlState === '42501') return new ConfigError(`Postgres at ${server} denies a right: ${text}`, refused);
  if (['42704', '22023', '42601'].includes(sqlState!)) {
    return new ConfigError(`Postgres at ${server} does not take the settings of the connection: ${text}`, refused);
  }
  if (/does not support SSL/i.test(text)) {
    return new ConfigError(`Postgres at ${server}: ${text}; leave out ssl, or use sslmode=disable`, refused);
  }
  if (sqlState === undefined && (CERTIFICATE.test(codeOf(error)) || /certificate|SSL routines/i.test(text))) {
    return new ConfigError(
      `the connection to Postgres at ${server} failed in TLS: ${text}${CERTIFICATE_HINT}`,
      refused,
    );
  }
  return new LockUnavailableError(`Postgres at ${server} is not available: ${text}`, details);
}

/** As pg_hba.conf refuses who comes without TLS where it is demanded. */
const tlsHint = (text: string): string =>
  /no encryption|SSL off/.test(text) ? '; the server may demand TLS (ssl, or sslmode=require)' : '';

export const unavailable = (server: string, text: string): LockUnavailableError =>
  new LockUnavailableError(`Postgres at ${server} is not available: ${text}`, { server });

/** What happened, on one line, without the user and password of a URL. */
function textOf(error: unknown): string {
  const text = messageOf(error)
    .replace(/\/\/[^\s/]*@/g, '//***@')
    .replace(/[\r\n]+/g, ' ')
    .trim();
  return text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}…` : text;
}

/** Node gives the errors of several addresses in one without a message. */
function messageOf(error: unknown): string {
  if (typeof error === 'string') return error;
  if (typeof error !== 'object' || error === null) return kindOf(error);
  const { message, errors, code } = error as { message?: unknown; errors?: readonly unknown[]; code?: unknown };
  if (typeof message === 'string' && message !== '') return message;
  if (errors?.[0] !== undefined) return messageOf(errors[0]);
  return typeof code === 'string' ? code : kindOf(error);
}

const codeOf = (error: unknown): string => {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : '';
};

/** A copy with nothing but text and code: errors may hold what was given to the library, connection strings too. */
function causeOf(error: unknown, text: string): Error {
  const cause = new Error(text);
  const code = codeOf(error);
  return code === '' ? cause : Object.assign(cause, { code });
}
