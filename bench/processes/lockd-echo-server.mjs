// A bare TCP server that answers the lines of a get and a release as lockd does, and knows nothing else.
import { createServer } from 'node:net';
import { answer } from '../support/child.mjs';

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('data', (chunk) => {
    const text = chunk.toString('latin1');
    const name = text.slice(2);
    socket.write(text[0] === 'g' ? `1 Lock Get Success: ${name}` : `1 Lock Release Success: ${name}`, 'latin1');
  });
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
