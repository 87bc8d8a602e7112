/** All proxies of a round, in one process, so that a signal can stop them. Argument: the path of its log. */
import { type Cut, type Direction, type Door, Proxy } from '../../support/proxy.js';
import { LogWriter } from '../log/writer.js';
import { nanos } from '../log/time.js';
import { serve } from './serve.js';

const [path] = process.argv.slice(2) as [string];
const log = new LogWriter(path);
const proxies: Proxy[] = [];

/** Which proxies a fault is done to; all without a number. */
type Target = number | 'all';
const each = (target: Target): Proxy[] => (target === 'all' ? proxies : [proxies[target]!]);

/** Does it, and says when, in nanoseconds. */
function apply(target: Target, fault: (proxy: Proxy) => unknown): number {
  const at = nanos();
  for (const proxy of each(target)) fault(proxy);
  return at;
}

serve({
  /** Opens proxies; `at`: where earlier ones listened. Returns their ports. */
  open: async (daemonPort: number, count: number, at: readonly number[] = []) => {
    for (let i = 0; i < count; i++) {
      const index = proxies.length;
      const proxy = await Proxy.to(daemonPort, at[i] ?? 0);
      proxy.onCut = () => log.add('C', nanos(), index);
      proxy.onServerEnd = () => log.add('E', nanos(), index);
      proxies.push(proxy);
    }
    return proxies.slice(-count).map(({ address }) => Number(address.split(':')[1]));
  },
  /** Notes when the answer `error_draining` passes. */
  watchDrain: () => {
    proxies.forEach((proxy, index) => {
      proxy.onData = (direction, chunk) => {
        if (direction === 'down' && chunk.includes('error_draining')) log.add('D', nanos(), index);
      };
    });
  },
  pass: (target: Target) => apply(target, (proxy) => proxy.pass()),
  reset: (target: Target) => apply(target, (proxy) => proxy.reset()),
  resetServers: (target: Target) => apply(target, (proxy) => proxy.resetServers()),
  halfClose: (target: Target, direction: Direction) => apply(target, (proxy) => proxy.halfClose(direction)),
  hole: (target: Target, directions: Direction[]) => apply(target, (proxy) => proxy.blackHole(directions)),
  hold: (target: Target, directions: Direction[]) => apply(target, (proxy) => proxy.hold(directions)),
  shape: (target: Target, shape: object, directions: Direction[]) =>
    apply(target, (proxy) => proxy.shape(shape, directions)),
  cutAfter: (target: Target, after: number, how: Cut, direction: Direction) =>
    apply(target, (proxy) => proxy.cutAfter(after, how, direction)),
  door: async (target: Target, door: Door) => {
    for (const proxy of each(target)) await proxy.setDoor(door);
  },
  flush: () => log.flush(),
});
