import {
  AuthError,
  ConfigError,
  LimitMismatchError,
  LockError,
  LockKeyError,
  LockUnavailableError,
  ProtocolError,
  type LockErrorDetails,
} from '../../../common/errors.js';
import { kindOf } from '../../../common/kind-of.js';
import { framesOf, isError, scrubbed } from './without-secrets.js';

/** Characters of a text of Redis or of a client library that a message shows. */
const MAX_CHARACTERS = 200;

/** The first word of an error reply: `READONLY`, `NOSCRIPT`, `ERR`. */
const CODE = /^([A-Z][A-Z0-9]*)(?:$|[ :])/;

/** What may come right while nobody changes anything. */
const TRANSIENT = new Set(
  'LOADING BUSY CLUSTERDOWN TRYAGAIN MASTERDOWN NOREPLICAS NOREPL MISCONF OOM READONLY MOVED ASK UNBLOCKED UNKILLABLE'.split(
    ' ',
  ),
);
const AUTHENTICATION = new Set(['WRONGPASS', 'NOAUTH']);

/** Rights that all calls need; see docs/redis.md. */
const RIGHTS =
  'the user needs the commands of the page docs/redis.md, the keys of the prefixes, dflockd:*, and the channels dfl:*';

/** Of a command inside a script, for which some versions have no NOPERM: 7.0, and 7.2 and newer; the last two before 7.0. */
const DENIED =
  /^ERR (?:The user executing the script |ACL failure in script)|can't publish to the channel|No permissions to access a channel/i;

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET_ISSUER)|ERR_SSL|ERR_TLS/;

/** @param where in a message: `at host:port`, or `(cluster)` */
export const unavailable = (server: string, text: string, where = `at ${server}`): LockUnavailableError =>
  new LockUnavailableError(`Redis ${where} is not available: ${text}`, { server });

export interface Circumstances {
  readonly server: string;
  /** The server has accepted this client before: that it does not now may come right again. */
  readonly wasAccepted?: boolean;
  /** What failed is a connection. A command that is refused to a client that is connected stays so. */
  readonly isConnecting?: boolean;
  readonly key?: string | undefined;
}

/** The code of the reply with which Redis refused, of the error as the library gave it or of a typed one. */
export function replyCode(error: unknown): string | undefined {
  if (error instanceof LockError) return error.cause === undefined ? undefined : replyCode(error.cause);
  return CODE.exec(textOf(error))?.[1];
}

/** Whether the server is no master (any more): its connections are to be made anew. */
export const isNoMaster = (error: unknown): boolean => replyCode(error) === 'READONLY';

/** Where a node of a cluster sends whoever asks it. */
export interface Redirection {
  readonly isAsk: boolean;
  readonly slot: number;
  /** Empty: that of the node itself. */
  readonly host: string;
  readonly port: number;
}

export function redirectionOf(error: unknown): Redirection | undefined {
  const text = textOf(error instanceof LockError ? error.cause : error);
  const match = /^(MOVED|ASK) (\d+) (\S*):(\d+)$/.exec(text);
  if (!match) return undefined;
  const [, kind, slot, host, port] = match;
  return { isAsk: kind === 'ASK', slot: Number(slot), host: host!, port: Number(port) };
}

/** What an operator has to know: writes are refused although the server is there. */
export function degradation(error: unknown): string | undefined {
  const code = replyCode(error);
  if (code === 'OOM') return 'Redis has reached its maxmemory and refuses new locks';
  if (code === 'MISCONF') return 'Redis cannot write to its disk and refuses writes (stop-writes-on-bgsave-error)';
  if (code === 'NOREPLICAS') return 'Redis has fewer replicas than min-replicas-to-write and refuses writes';
  return undefined;
}

/** What the script of semaphores answers to another limit than counts for the key. */
export function limitMismatch(reply: readonly unknown[], limit: number, details: LockErrorDetails): LimitMismatchError {
  const text = `the semaphore has a limit of ${String(reply[1])}, not ${limit}, for as long as anybody holds it or waits for it`;
  return new LimitMismatchError(details, text);
}

/** The typed error for what a client library or Redis itself said. Its cause has no arguments of commands: they are secrets. */
export function typedError(error: unknown, circumstances: Circumstances): LockError {
  if (error instanceof LockError) return error;
  const { server, wasAccepted = false, isConnecting = false, key } = circumstances;
  const text = textOf(error);
  const code = CODE.exec(text)?.[1];
  const details: LockErrorDetails = { server, key, cause: causeOf(error, text, code) };
  const refused: LockErrorDetails = { ...details, isTransient: wasAccepted && isConnecting };
  if (AUTHENTICATION.has(code ?? '') || /^ERR (?:invalid password|.*AUTH.* (?:password|called without))/i.test(text)) {
    return new AuthError(
      { ...details, isTransient: wasAccepted },
      `Redis at ${server} refused user and password: ${text}`,
    );
  }
  if (code === 'NOPERM' || DENIED.test(text)) {
    return new ConfigError(`Redis at ${server} denies a right: ${text}; ${RIGHTS}`, refused);
  }
  if (code === 'WRONGTYPE') return new LockKeyError('the key holds something in Redis that is no lock', details);
  if (code === undefined && CERTIFICATE.test(codeOf(error) ?? '')) {
    return new ConfigError(`the connection to Redis at ${server} failed in TLS: ${text}`, refused);
  }
  if (code === undefined || TRANSIENT.has(code)) {
    return new LockUnavailableError(`Redis at ${server} is not available: ${text}`, details);
  }
  if (/^ERR (?:unknown command|DB index|invalid DB|SELECT is not)/i.test(text) || code === 'NOPROTO') {
    return new ConfigError(`Redis at ${server} does not take this client: ${text}`, refused);
  }
  return new ProtocolError(`Redis at ${server} answered: ${text}`, { ...details, isTransient: false });
}

function textOf(error: unknown): string {
  const text = scrubbed(messageOf(error))
    .replace(/[\r\n]+/g, ' ')
    .replace(/^(?:ReplyError|Error): /, '');
  return text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}…` : text;
}

/** The innermost of the errors that libraries wrap around what the server said. */
function messageOf(error: unknown, depth = 0): string {
  if (typeof error === 'string') return error;
  if (!isError(error)) return kindOf(error);
  const { errors, lastNodeError, originalError, socketError } = error as {
    errors?: readonly unknown[];
    lastNodeError?: unknown;
    originalError?: unknown;
    socketError?: unknown;
  };
  const inner = errors?.[0] ?? lastNodeError ?? socketError ?? originalError;
  return inner !== undefined && depth < 5 ? messageOf(inner, depth + 1) : error.message || codeOf(error) || error.name;
}

const codeOf = (error: unknown): string | undefined => {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : undefined;
};

/** A copy that says what happened: those of the libraries hold the command with its arguments, the password of AUTH too. */
function causeOf(error: unknown, text: string, code: string | undefined): Error {
  const cause = new Error(text);
  if (isError(error)) {
    cause.name = error.name;
    if (error.stack !== undefined) cause.stack = `${error.name}: ${text}${framesOf(error.stack)}`;
  }
  return Object.assign(cause, { code: code ?? codeOf(error) });
}
