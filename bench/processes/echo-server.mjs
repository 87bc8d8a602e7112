// A bare TCP echo server: the least that Node can do for a request.
import { createServer } from 'node:net';
import { answer } from '../support/child.mjs';

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('data', (chunk) => socket.write(chunk));
  socket.on('error', () => {});
});

answer({
  listen: () =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () =>
        resolve({ host: '127.0.0.1', port: server.address().port }),
      );
    }),
});
