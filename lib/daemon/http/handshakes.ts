import type { Socket } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import type { Ms } from '../../common/system.js';
import { Handshaking } from '../shared/handshaking.js';
import type { Swept } from './exchange/sweep.js';

/** How long a client may take for its first byte, and then for the handshake. */
export const HANDSHAKE_MS: Ms = 10_000;
const FIRST_BYTE = 0x16;
const HTTP_ON_TLS = 'HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n';

interface Watch {
  now(): Ms;
  watch(swept: Swept): void;
  unwatch(swept: Swept): void;
}

/** Connections before and in their TLS handshakes. A client that speaks plain HTTP is told so. */
export class Handshakes {
  private readonly open = new Handshaking();

  constructor(
    private readonly tls: TlsServer,
    private readonly host: Watch,
  ) {}

  begin(socket: Socket): void {
    const since = this.host.now();
    const silent: Swept = {
      isDue: (seen) => seen - since >= HANDSHAKE_MS,
      expire: () => void socket.destroy(),
    };
    this.open.add(socket);
    this.host.watch(silent);
    socket.once('close', () => this.host.unwatch(silent));
    socket.once('readable', () => {
      this.host.unwatch(silent);
      this.listen(socket);
    });
  }

  /** The handshake is complete. @param secure the TLS socket */
  end(secure: Socket): void {
    this.open.end(secure);
  }

  cutOff(): void {
    this.open.destroyAll();
  }

  private listen(socket: Socket): void {
    const first = socket.read() as Buffer | null;
    // The client has left.
    if (first === null) return void socket.destroy();
    if (first[0] === FIRST_BYTE) {
      socket.unshift(first);
      // A client that closes during the handshake is gone; a half-open socket would not show it.
      socket.allowHalfOpen = false;
      this.tls.emit('connection', socket);
    } else if (/^[A-Z]/.test(first.toString('latin1', 0, 1))) {
      socket.end(HTTP_ON_TLS, () => socket.destroy());
    } else {
      socket.destroy();
    }
  }
}
