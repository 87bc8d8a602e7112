// The daemon of the build, which tells how much memory it uses and who is connected. What nobody catches ends it.
import { get } from 'node:http';
import { answer } from '../../../bench/support/child.mjs';
import { freePort } from '../../support/free-port.mjs';
import { inUse } from './in-use.mjs';
import { vitals } from './vitals.mjs';

// As the command does.
const { keepCollectionsShort } = await import(new URL('../cli/short-collections.js', process.argv[2]));
keepCollectionsShort(process.execArgv, process.env.NODE_OPTIONS);
const { DflockdServer } = await import(process.argv[2]);
const { overHttp, ...options } = JSON.parse(process.argv[3]);
const server = new DflockdServer({ ...options, ...(overHttp ? { httpPort: await freePort() } : {}) });
const rejections = [];
process.on('unhandledRejection', (reason) => rejections.push(String(reason)));

/** How many streams listen. */
function listeners() {
  return new Promise((resolve, reject) => {
    const request = get({ ...server.httpAddress(), path: '/metrics', agent: false }, async (response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      resolve(Number(/^dflockd_signal_listeners (\d+)$/m.exec(text)[1]));
    });
    request.on('error', reject);
  });
}

answer({
  vitals: vitals(),
  listen: () => server.listen(),
  address: () => server.address(),
  http: () => server.httpAddress(),
  inUse,
  rss: () => process.memoryUsage().rss,
  connections: () => server.connections,
  listeners,
  /** Of HTTP, too: all that were accepted. */
  sockets: () => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length,
  rejections: () => rejections,
  /** As the command does at SIGTERM. */
  close: () => server.close(),
});
