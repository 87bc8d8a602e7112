// A wire to a TCP server that can be cut, as a cable or a switch may fail.
import { connect, createServer } from 'node:net';

/** @param {string} target host:port */
export async function cuttable(target) {
  const [host, port] = target.split(':');
  const sockets = new Set();
  const server = createServer((near) => {
    const far = connect({ host, port: Number(port) });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ]) {
      sockets.add(socket);
      socket.pipe(other);
      socket.on('error', () => other.destroy());
      socket.on('close', () => (sockets.delete(socket), other.destroy()));
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => sockets.forEach((socket) => socket.destroy());
  return {
    address: `127.0.0.1:${server.address().port}`,
    /** Ends all connections; new ones are taken again. */
    cut,
    close: () => (cut(), new Promise((resolve) => server.close(resolve))),
  };
}
