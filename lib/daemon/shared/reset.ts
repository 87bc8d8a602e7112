import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** The TCP socket below a TLS socket, and the TLS socket on a TCP socket. */
const carriers = new WeakMap<Duplex, Socket>();
const carried = new WeakMap<Duplex, Duplex>();

/** Tells `reset` and `outermost` which socket carries a TLS socket, because Node does not. */
export function carry(secure: Duplex, socket: Socket): void {
  carriers.set(secure, socket);
  carried.set(socket, secure);
}

/**
 * The TLS socket on a TCP socket, or the stream itself. Only this one may be destroyed: if a TCP socket was destroyed
 * before the TLS socket on it, and that one had something to write, Node ends with a segmentation fault.
 */
export const outermost = (stream: Duplex): Duplex => carried.get(stream) ?? stream;

/**
 * Closes the connection of a peer that does not read. `destroy` leaves what has not been sent, up to a few megabytes, to
 * the kernel, which tries for minutes to deliver it. A reset frees that memory at once. The peer can still read what it
 * has received, and then gets ECONNRESET.
 *
 * Only TCP sockets are reset, and TLS on those that `carry` knows. Other streams are destroyed: pipes, streams in memory,
 * and TLS sockets of applications.
 *
 * @param isUnread whether bytes wait that the kernel does not take; if not, the stream is destroyed, so that the peer can
 *   read everything. Must be false once the socket is being shut down: libuv does not reset it then, and Node neither
 *   closes it nor emits `close`. The default value is right, because Node shuts down when nothing waits.
 */
export function reset(stream: Duplex, isUnread = outermost(stream).writableLength > 0): void {
  const outer = outermost(stream);
  if (outer.destroyed) return;
  if (isUnread) resetBelow(outer);
  outer.destroy();
}

function resetBelow(outer: Duplex): void {
  const socket = carriers.get(outer);
  if (socket) {
    // TLS destroys it, when it no longer needs it.
    socket.destroy = () => {
      delete (socket as Partial<Socket>).destroy;
      return socket.resetAndDestroy();
    };
  } else if (outer instanceof Socket) {
    try {
      outer.resetAndDestroy();
    } catch {
      // It is a pipe, or the TLS socket of an application.
    }
  }
}
