import type { Socket } from 'node:net';
import { carry } from './reset.js';

const nameOf = ({ remoteAddress, remotePort, localAddress, localPort }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;

/** TCP connections whose TLS handshakes are not complete. */
export class Handshaking {
  private readonly open = new Map<string, Socket>();

  add(socket: Socket): void {
    const name = nameOf(socket);
    this.open.set(name, socket);
    socket.once('close', () => {
      // The next connection may have the same name already.
      if (this.open.get(name) === socket) this.open.delete(name);
    });
  }

  /** The handshake is complete. @param secure the TLS socket */
  end(secure: Socket): void {
    const name = nameOf(secure);
    const socket = this.open.get(name);
    this.open.delete(name);
    // Connections whose peers are gone have no names.
    if (socket && secure.remoteAddress !== undefined) carry(secure, socket);
  }

  destroyAll(): void {
    for (const socket of this.open.values()) socket.destroy();
  }
}
