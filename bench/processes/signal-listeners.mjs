// Listeners on separate connections, and an emitter, which continues when all listeners have the last signals.
import { connect } from 'node:net';
import { answer, measured } from '../support/child.mjs';
import { Deadline } from '../support/lanes.mjs';

const CHANNEL = 'bench.signals';
const PAYLOAD = 'x'.repeat(100);
/** Less than the frames that wait for one listener (64). */
const AT_ONCE = 32;

const { LockClient, SignalConnection } = await import(process.argv[2]);
let emitter;
let counted;
let owed = 0;
let served;

/** A listener that never reads. It reconnects when the server has disconnected it. */
function ignore(host, port) {
  const socket = connect({ host, port, noDelay: true });
  socket.pause();
  socket.write(`listen\n${CHANNEL}\n\n`);
  socket.on('error', () => {});
  socket.on('close', () => ignore(host, port));
}

function batch() {
  return new Promise((resolve, reject) => {
    owed = AT_ONCE * counted;
    served = resolve;
    for (let i = 0; i < AT_ONCE; i++) emitter.signals.emit(CHANNEL, PAYLOAD).catch(reject);
  });
}

answer({
  /** `counted`: how many of the listeners' signals count. */
  async open({ host, port, listeners, slow, ...rest }) {
    counted = rest.counted;
    emitter = await LockClient.connect({ servers: [[host, port]] });
    for (let i = 0; i < listeners; i++) {
      const connection = await SignalConnection.connect({ host, port });
      if (i < counted) connection.onSignal(() => --owed === 0 && served());
      await connection.listen(CHANNEL);
    }
    for (let i = 0; i < slow; i++) ignore(host, port);
  },
  slice: (ms) =>
    measured(async () => {
      const deadline = new Deadline(ms);
      let count = 0;
      do {
        await batch();
        count += AT_ONCE * counted;
      } while (!deadline.passed);
      return count;
    }),
});
