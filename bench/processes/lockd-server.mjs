// A port of lockd's protocol, beside a dflockd port, of the measured build.
import { answer } from '../support/child.mjs';

const { DflockdServer } = await import(process.argv[2]);
const server = new DflockdServer({ port: 0, lockdPort: 0 });

answer({
  listen: async () => {
    await server.listen();
    return server.lockdAddress();
  },
});
