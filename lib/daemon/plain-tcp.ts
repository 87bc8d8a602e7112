import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

/**
 * Whether closing the stream delivers all that the kernel has been given, and an end behind it. To announce the end first
 * would cost a system call and a turn of the event loop for each connection. TLS has an end of its own to send.
 */
export const closesCleanly = (stream: Duplex): boolean =>
  stream instanceof Socket && !(stream instanceof TLSSocket) && stream.writableLength === 0;
