import { connect } from 'node:net';

/** The end of a slice. Lanes look at it themselves: a timer would come late under load. */
export class Deadline {
  constructor(ms) {
    this.at = performance.now() + ms;
  }

  get passed() {
    return performance.now() >= this.at;
  }
}

/** Bytes taken from a socket at once, into one buffer for all lanes: nothing is allocated for each read. */
const INPUT = Buffer.allocUnsafeSlow(256 * 1024);

/**
 * Connects lanes: whatever has `onBytes(count, bytes)`, and writes to the `socket` it is given.
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
 * One slice: starts all lanes, which stop by themselves at the deadline, when what they have begun is complete.
 *
 * @returns {Promise<number>} what they have done together
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
