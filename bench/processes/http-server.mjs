// The HTTP port of the measured build, beside its TCP port.
import { createServer } from 'node:net';
import { answer } from '../support/child.mjs';

const { DflockdServer } = await import(process.argv[2]);

const freePort = () =>
  new Promise((resolve) => {
    const one = createServer().listen(0, '127.0.0.1', () => {
      const { port } = one.address();
      one.close(() => resolve(port));
    });
  });

answer({
  listen: async () => {
    const server = new DflockdServer({ port: 0, httpPort: await freePort() });
    await server.listen();
    return server.httpAddress();
  },
});
