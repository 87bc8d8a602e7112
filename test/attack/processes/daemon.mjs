// The daemon of the build, which tells how much memory it uses and who is connected. What nobody catches ends it.
import { answer } from '../../../bench/support/child.mjs';
import { vitals } from './vitals.mjs';

// As the command does.
const { keepCollectionsShort } = await import(new URL('../cli/short-collections.js', process.argv[2]));
keepCollectionsShort(process.execArgv, process.env.NODE_OPTIONS);
const { DflockdServer } = await import(process.argv[2]);
const server = new DflockdServer(JSON.parse(process.argv[3]));
const rejections = [];
process.on('unhandledRejection', (reason) => rejections.push(String(reason)));

/** What a collection leaves, in bytes: the second takes what finalizers of the first have let go. */
async function inUse() {
  for (let i = 0; i < 2; i++) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

answer({
  vitals: vitals(),
  listen: () => server.listen(),
  address: () => server.address(),
  inUse,
  rss: () => process.memoryUsage().rss,
  connections: () => server.connections,
  rejections: () => rejections,
  /** As the command does at SIGTERM. */
  close: () => server.close(),
});
