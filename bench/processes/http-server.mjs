// The HTTP port of the measured build, beside its TCP port.
import { freePort } from '../../test/support/free-port.mjs';
import { answer } from '../support/child.mjs';

const { DflockdServer } = await import(process.argv[2]);

answer({
  listen: async () => {
    const server = new DflockdServer({ port: 0, httpPort: await freePort() });
    await server.listen();
    return server.httpAddress();
  },
});
