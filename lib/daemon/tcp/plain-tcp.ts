import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

/**
 * Whether destroying the stream still delivers everything that was written, followed by an end. Ending the stream first
 * would cost a system call and a turn of the event loop per connection. TLS has to send an end of its own.
 */
export const closesCleanly = (stream: Duplex): boolean =>
  stream instanceof Socket && !(stream instanceof TLSSocket) && stream.writableLength === 0;
