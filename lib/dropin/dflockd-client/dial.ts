import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { refuseOtherLayouts } from '../../common/copies.js';
import { showAddress } from '../../common/address.js';
import { AuthError, LockError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import { toBytes } from '../../protocol/bytes.js';
import { encodeRequest } from '../../protocol/request-encoder.js';
import { checkText } from './checks.js';
import { openSocket } from './open-socket.js';
import { refused } from './replies.js';
import { ANSWER_MS, SocketLines } from './socket-lines.js';

/** Where to connect, and how. */
export interface Destination {
  readonly host: string;
  readonly port: number;
  readonly tls: ConnectionOptions | undefined;
  /** Empty or undefined: no token. */
  readonly auth: string | undefined;
  /** For TCP and TLS; undefined: as long as the operating system tries. */
  readonly connectTimeoutMs: Ms | undefined;
}

/** Starts to connect; to give up, stop the lines. @throws Node's errors for a port or for TLS options */
export function dial({ host, port, tls }: Destination): SocketLines {
  refuseOtherLayouts();
  // Node's error would repeat the host, with a password that it may contain.
  if (/[/@]/.test(host)) throw new LockError(`host ${showAddress(host)} is not a host name or address`);
  const socket = openSocket(host, port, tls, SocketLines.readerOf);
  return SocketLines.fedBy(socket);
}

/** Resolves when connected and authenticated. Rejects with the socket's own error, AuthError or LockError. */
export async function ready(lines: SocketLines, to: Destination): Promise<void> {
  const { tls, auth, connectTimeoutMs } = to;
  const connected = lines.connected(tls ? 'secureConnect' : 'connect');
  if (connectTimeoutMs) {
    const { host, port } = to;
    lines.expect(connectTimeoutMs, `connect timeout: ${host}:${port} timed out after ${connectTimeoutMs} ms`);
  }
  await connected;
  if (auth) await greet(lines, auth);
}

async function greet(lines: SocketLines, auth: string): Promise<void> {
  const asked = lines.ask(encodeRequest({ t: 'auth', token: toBytes(auth) }));
  lines.expect(ANSWER_MS, 'auth');
  const reply = await asked;
  if (reply === 'error_auth') throw new AuthError();
  // A server that is not a dflockd may echo what it was sent.
  if (reply !== 'ok') throw refused('auth', reply.replaceAll(auth, '<token>'));
}

/** Where to connect, for clients other than locks. */
export interface ConnectOptions {
  /** Default 127.0.0.1. */
  host?: string | undefined;
  /** Default 6388. */
  port?: number | undefined;
  /** `{}` is TLS with the system's certificate authorities. Default: none. */
  tls?: ConnectionOptions | undefined;
  /** The auth token, sent first. Default: none. */
  auth?: string | undefined;
  /** Milliseconds for TCP and TLS. Default: as long as the operating system tries. */
  connectTimeoutMs?: number | undefined;
}

/** Opens a connection that is ready for requests. @throws LockError, AuthError, or the error of the socket */
export async function dialAt(options: ConnectOptions, host: string, port: number): Promise<Socket> {
  const { tls, auth, connectTimeoutMs } = options;
  if (auth !== undefined) checkText('auth', auth);
  const to: Destination = { host: options.host ?? host, port: options.port ?? port, tls, auth, connectTimeoutMs };
  const lines = dial(to);
  try {
    await ready(lines, to);
    return lines.socket;
  } catch (error) {
    lines.socket.destroy();
    throw error;
  }
}
