// A daemon with both ports that can be shut down and started again, and tells what it has left behind.
import { answer } from '../../../bench/support/child.mjs';
import { inUse } from '../../attack/processes/in-use.mjs';
import { vitals } from '../../attack/processes/vitals.mjs';
import { freePort } from '../../support/free-port.mjs';
import { longestSilence } from './silence.mjs';

// As the command does.
const { keepCollectionsShort } = await import(new URL('../cli/short-collections.js', process.argv[2]));
keepCollectionsShort(process.execArgv, process.env.NODE_OPTIONS);
const { DflockdServer } = await import(process.argv[2]);
const rejections = [];
process.on('unhandledRejection', (reason) => rejections.push(`unhandled rejection: ${reason}`));
// As of listeners that are never removed.
process.on('warning', (warning) => rejections.push(`warning: ${warning.message}`));
let server;

const count = (kind) => process.getActiveResourcesInfo().filter((name) => name === kind).length;

answer({
  vitals: vitals(),
  async listen(options) {
    server = new DflockdServer({ port: 0, httpPort: await freePort(), ...options });
    await server.listen();
    return { tcp: server.address(), http: server.httpAddress() };
  },
  close: () => server.close(),
  inUse,
  sockets: () => count('TCPSocketWrap'),
  ports: () => count('TCPServerWrap'),
  connections: () => server.connections,
  /** Of a session, in ms, by the clock of this process. */
  silence: longestSilence,
  /** Unhandled rejections and warnings. */
  rejections: () => rejections,
});
