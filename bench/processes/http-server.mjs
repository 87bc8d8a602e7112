// The HTTP port of the measured build, beside its TCP port. Sessions may be silent while others are measured.
import { freePort } from '../../test/support/free-port.mjs';
import { answer } from '../support/child.mjs';

const { DflockdServer } = await import(process.argv[2]);

answer({
  listen: async () => {
    const server = new DflockdServer({
      port: 0,
      httpPort: await freePort(),
      readTimeout: 3600,
      httpSessionIdleTimeout: 0,
    });
    await server.listen();
    return server.httpAddress();
  },
});
