import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { withoutValues } from '../../common/shown.js';

/**
 * What is received is taken out of it before anything else can be read, so all connections share it: nothing is allocated
 * for a read, and no stream machinery runs for it.
 */
const INPUT = Buffer.allocUnsafeSlow(64 * 1024);

/** Gets what a socket receives, until it says that it is for somebody else. */
export interface Receiver {
  /** @param bytes as latin1 */
  receive(bytes: string): void;
}

/** A socket that is being connected, without delay; TLS if asked for. @throws what Node says of options it refuses */
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
      // Whoever has the socket now listens as on any other.
      else socket.emit('data', Buffer.from(INPUT.subarray(0, count)));
      return true;
    },
  };
  // The first four are what Node sets on its copy of any options. Where they are not there yet, the copy changes its shape
  // with each, which takes V8 longer than all the rest of a connection's set-up in JavaScript.
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

/** Addresses have no server name (RFC 6066). */
const secured = (host: string, tls: ConnectionOptions, options: ConnectionOptions): ConnectionOptions => ({
  ...(isIP(host) ? {} : { servername: host }),
  minVersion: 'TLSv1.2',
  ...tls,
  ...options,
});
