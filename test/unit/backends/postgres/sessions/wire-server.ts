import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A message of the server: its type, its length, its body. */
function message(type: string, body: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function int(value: number, bytes = 4): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeIntBE(value, 0, bytes);
  return buffer;
}

const READY = message('Z', Buffer.from('I'));

/** The answer to a prepared statement: one row of one column. */
export const answerOf = (text: string): Buffer =>
  Buffer.concat([
    message('1'),
    message('2'),
    message('D', Buffer.concat([int(1, 2), int(Buffer.byteLength(text)), Buffer.from(text)])),
    message('C', Buffer.from('SELECT 1\0')),
    READY,
  ]);

/** What the server says to a session that it ends by `pg_terminate_backend`. */
export const TERMINATED = message(
  'E',
  Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0'),
);

/** The bytes of a server of Postgres on a real socket. It answers only what a test tells it to answer. */
export class WireServer {
  socket!: Socket;
  private readonly server: Server;

  private constructor() {
    this.server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
      this.socket = socket.on('error', () => undefined);
      socket.once('data', () => {
        const key = message('K', Buffer.concat([int(7), int(8)]));
        socket.write(Buffer.concat([message('R', int(0)), key, READY]));
      });
    });
  }

  static async start(): Promise<WireServer> {
    const wire = new WireServer();
    await new Promise<void>((resolve) => wire.server.listen(0, '127.0.0.1', resolve));
    return wire;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
