import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { withoutValues } from '../../common/shown.js';

/**
 * The read buffer. All connections share it, because its content is copied before anything else can be read: a read
 * allocates no buffer and bypasses the stream machinery.
 */
const INPUT = Buffer.allocUnsafeSlow(64 * 1024);

/** Gets what a socket receives, until something else takes the socket over. */
export interface Receiver {
  /** @param bytes as latin1 */
  receive(bytes: string): void;
}

/** Opens a socket without delay (Nagle), over TLS if `tls` is given. @throws Node's errors for options it refuses */
export function openSocket(
  host: string,
  port: number,
  tls: ConnectionOptions | undefined,
  receiverOf: (socket: Socket) => Receiver | undefined,
): Socket {
  const onread = {
    buffer: INPUT,
    callback: (count: number): boolean => {
      const receiver = receiverOf(socket);
      if (receiver) receiver.receive(INPUT.toString('latin1', 0, count));
      // The new owner of the socket listens to it as to any other.
      else socket.emit('data', Buffer.from(INPUT.subarray(0, count)));
      return true;
    },
  };
  // Node sets the first four on its copy of the options. If they were missing, each would change the shape of the copy,
  // which takes V8 longer than the rest of the JavaScript that sets up a connection.
  const options = {
    allowHalfOpen: false,
    emitClose: false,
    autoDestroy: true,
    decodeStrings: false,
    host,
    port,
    noDelay: true,
    onread,
  };
  const socket: Socket = tls ? overTls(secured(host, tls, options)) : connectTcp(options);
  return socket;
}

function overTls(options: ConnectionOptions): Socket {
  try {
    return connectTls(options);
  } catch (error) {
    throw withoutValues(error);
  }
}

/** The options for TLS. An IP address has no server name (RFC 6066). */
const secured = (host: string, tls: ConnectionOptions, options: ConnectionOptions): ConnectionOptions => ({
  ...(isIP(host) ? {} : { servername: host }),
  minVersion: 'TLSv1.2',
  ...tls,
  ...options,
});
