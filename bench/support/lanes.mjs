import { connect } from 'node:net';

/** The end of a slice. Lanes check it themselves: under load, a timer would be late. */
export class Deadline {
  constructor(ms) {
    this.at = performance.now() + ms;
  }

  get passed() {
    return performance.now() >= this.at;
  }
}

/** Most bytes read from a socket at once, into one buffer for all lanes: a read allocates nothing. */
const INPUT = Buffer.allocUnsafeSlow(256 * 1024);

/**
 * Connects lanes: objects with `onBytes(count, bytes)` that write to the `socket` they are given.
 *
 * @template T @param {(index: number) => T} make @returns {Promise<T[]>}
 */
export function openAll(count, host, port, make) {
  return Promise.all(Array.from({ length: count }, (_, i) => open(host, port, make(i))));
}

function open(host, port, lane) {
  return new Promise((resolve, reject) => {
    lane.socket = connect({
      host,
      port,
      noDelay: true,
      onread: {
        buffer: INPUT,
        callback(count, bytes) {
          lane.onBytes(count, bytes);
          return true;
        },
      },
    });
    const lost = (error) => {
      lane.lost ??= error;
      reject(error);
      lane.fail?.(error);
    };
    lane.socket.once('connect', () => resolve(lane));
    lane.socket.on('error', lost);
    lane.socket.on('end', () => lost(new Error('the server has closed the connection')));
    lane.socket.on('close', () => lost(new Error('the connection has been closed')));
  });
}

/**
 * One slice: starts all lanes, which stop at the deadline, once the operations they have begun are complete.
 *
 * @returns {Promise<number>} the number of operations of all lanes
 */
export function runAll(lanes, deadline) {
  return new Promise((resolve, reject) => {
    let running = lanes.length;
    let count = 0;
    for (const lane of lanes) {
      if (lane.lost) return reject(lane.lost);
      lane.fail = reject;
      lane.done = (pairs) => {
        count += pairs;
        if (--running === 0) resolve(count);
      };
      lane.start(deadline);
    }
  });
}
