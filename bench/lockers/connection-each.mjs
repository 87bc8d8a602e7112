// One connection per lock, as lean as possible: no delay, no timers, no queue, and only `ok` is checked. Like the
// drop-in, it waits for the replies to its two requests, and not for the end of the connection, which it closes itself.
import { connect } from 'node:net';
import { acquireOf, releaseWith } from '../support/requests.mjs';

export async function open({ host, port }) {
  return async (key, deadline) => {
    const acquire = acquireOf(key);
    let pairs = 0;
    do {
      await pair(host, port, key, acquire);
      pairs++;
    } while (!deadline.passed);
    return pairs;
  };
}

function pair(host, port, key, acquire) {
  return new Promise((resolve, reject) => {
    let text = '';
    let releasing = false;
    const socket = connect({ host, port, noDelay: true });
    socket.setEncoding('latin1');
    socket.on('error', reject);
    socket.on('end', () => reject(new Error('the server has closed the connection')));
    socket.on('data', (chunk) => {
      text += chunk;
      if (!text.endsWith('\n')) return;
      if (!text.startsWith('ok')) return void socket.destroy(new Error(`the daemon has refused a request: ${text}`));
      if (releasing) {
        socket.destroy();
        resolve();
      } else {
        releasing = true;
        socket.write(releaseWith(key, text.split(' ')[1]));
        text = '';
      }
    });
    socket.write(acquire);
  });
}
