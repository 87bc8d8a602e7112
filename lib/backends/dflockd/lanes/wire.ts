import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';

/**
 * Received bytes are copied out of it before anything else can be read, so all connections share it: nothing is allocated
 * for a read, and no stream machinery runs for it.
 */
const INPUT = Buffer.allocUnsafeSlow(64 * 1024);

/** A socket, and who gets what it receives. */
export class Wire {
  /** Gets what arrives, as byte strings. Set by whoever has the wire. */
  receive: (bytes: string) => void = () => undefined;
  readonly socket: Socket;

  /** @throws what Node says of TLS options that it refuses */
  constructor(host: string, port: number, tls: ConnectionOptions | undefined) {
    const onread = {
      buffer: INPUT,
      callback: (count: number): boolean => {
        this.receive(INPUT.toString('latin1', 0, count));
        return true;
      },
    };
    const options = { host, port, noDelay: true, keepAlive: true, onread };
    this.socket = tls ? connectTls({ ...tls, ...options }) : connectTcp(options);
  }

  /** Whoever has the wire gets what it receives from now on, and is told of its end, maybe more than once. */
  attach(receive: (bytes: string) => void, lost: (what: string, cause?: Error) => void): void {
    const { socket } = this;
    this.receive = receive;
    socket.on('end', () => lost('the server closed the connection'));
    socket.on('error', (error) => lost(error.message, error));
    socket.on('close', () => lost('the connection closed'));
  }
}
