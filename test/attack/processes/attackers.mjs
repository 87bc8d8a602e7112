// One who means no good. The attacks are named in ../attacks.mjs; each is begun, goes on, and ends.
import { execFileSync } from 'node:child_process';
import { connect } from 'node:net';
import { constants, setPriority } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { answer } from '../../../bench/support/child.mjs';

// Attackers bring machines of their own; where times are judged, they must not take the processor from those they attack.
if (process.argv[2] === 'humble') {
  try {
    // All threads, for what nobody else wants of it.
    execFileSync('chrt', ['--all-tasks', '--idle', '--pid', '0', String(process.pid)], { stdio: 'ignore' });
  } catch {
    setPriority(constants.priority.PRIORITY_LOW);
  }
}

const AT_ONCE = 200;
const LF = 10;
const HTTP_HEAD = 'HTTP/1.1\r\nHost: attacked\r\n';
let at;
/** The TCP port of who is attacked over HTTP. */
let tcp;
/** How many leave at a time, and how much later the next. */
let leaving;
const LEAVE_MS = 10;
let stopped = false;
/** Open connections; those that the daemon cuts are taken out. */
const open = new Set();
const counts = { opened: 0, cut: 0, failed: 0, bytes: 0, replies: 0 };
let timers = [];
/** What goes on until the end, and what is done once. */
let loops = [];
let once = [];

/** Resolves with the socket, or undefined if there was none to be had. */
function dial(address = at) {
  return new Promise((resolve) => {
    const socket = connect({ ...address, noDelay: true });
    socket.once('connect', () => {
      counts.opened++;
      if (stopped) return hangUp(socket);
      open.add(socket);
      resolve(socket);
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      if (open.delete(socket)) counts.cut++;
      else if (!socket.attacked) counts.failed++;
      resolve(undefined);
    });
  });
}

/** Ends one without leaving a port behind that must wait. */
function hangUp(socket) {
  open.delete(socket);
  socket.attacked = true;
  socket.resetAndDestroy();
}

async function dialAll(count, use) {
  for (let i = 0; i < count && !stopped; i += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - i) }, () => dial());
    for (const socket of await Promise.all(some)) if (socket) use(socket);
  }
}

/** Sends requests in windows, as a client does, and resolves when all are answered or the connection has ended. */
async function askAll(count, requestOf, use = () => undefined, window = 500, address = at) {
  const socket = await dial(address);
  if (!socket) return;
  let replies = 0;
  let asked = 0;
  const more = () => {
    let text = '';
    for (; asked < count && asked - replies < window && !stopped; asked++) text += requestOf(asked);
    if (text) socket.write(text);
  };
  await new Promise((resolve) => {
    socket.on('data', (chunk) => {
      for (const byte of chunk) {
        if (byte !== LF) continue;
        replies++;
        counts.replies++;
      }
      more();
      if (replies >= asked) resolve();
    });
    socket.once('close', resolve);
    more();
  });
  use(socket);
}

const every = (ms, work) => timers.push(setInterval(work, ms));

const ATTACKS = {
  /** So many connections that say nothing. */
  idle: ({ count }) => dialAll(count, (socket) => socket.resume()),

  /** Requests that come byte by byte, one a second; who is cut off comes back. */
  async 'slow writers'({ count, byteMs }) {
    const text = Buffer.from('l\nattack:slow:writer\n0 30\n');
    const begin = (socket) => {
      socket.resume();
      socket.sent = 0;
    };
    await dialAll(count, begin);
    every(byteMs, () => {
      for (const socket of open)
        socket.write(text.subarray(socket.sent % text.length, (socket.sent++ % text.length) + 1));
      if (open.size < count) void dialAll(count - open.size, begin);
    });
  },

  /** Ask for long replies and read them one byte a second. */
  async 'slow readers'({ count, requests, byteMs }) {
    const text = 'stats\n_\n\n'.repeat(requests);
    const begin = (socket) => {
      // Read only when asked to.
      socket.pause();
      socket.write(text);
    };
    await dialAll(count, begin);
    every(byteMs, () => {
      for (const socket of open) if (socket.read(1)) counts.bytes++;
      if (open.size < count) void dialAll(count - open.size, begin);
    });
  },

  /** Connect, ask for something, and are gone, by reset or FIN, with or without the reply; again at once. */
  async storm({ count }) {
    const storming = async (which) => {
      for (let i = which; !stopped; i++) {
        const socket = await dial();
        if (!socket) continue;
        const replied = new Promise((resolve) => socket.once('data', resolve).once('close', resolve));
        if (i % 4 > 0) socket.write(`l\nattack:storm:${i % 500}\n${i % 3} 30\n`.slice(0, i % 4 === 3 ? 9 : undefined));
        if (i % 4 === 2) await replied;
        if (i % 8 < 4 || i % 4 === 0) hangUp(socket);
        else {
          socket.attacked = true;
          open.delete(socket);
          socket.end();
          socket.resume();
          if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
        }
      }
    };
    loops = Array.from({ length: count }, (_, which) => storming(which));
  },

  /** So many keep-alive connections over HTTP, which ask once and then say nothing. */
  async 'HTTP idle'({ count }) {
    await dialAll(count, (socket) => {
      socket.on('data', (chunk) => chunk.includes('HTTP/1.1 200 OK') && counts.replies++);
      socket.write(`GET /health ${HTTP_HEAD}\r\n`);
    });
  },

  /** Heads of requests over HTTP that come byte by byte; who is cut off comes back. */
  'HTTP slow heads': ({ count, byteMs }) =>
    dribble(count, byteMs, '', Buffer.from(`POST /v1/locks/attack ${HTTP_HEAD}`)),

  /** The same with bodies. */
  'HTTP slow bodies': ({ count, byteMs }) =>
    dribble(count, byteMs, `POST /v1/signals/attack ${HTTP_HEAD}Content-Length: 1000\r\n\r\n`, Buffer.alloc(1000, ' ')),

  /** Thousands of requests over HTTP in one write, and as many again when they are answered. */
  async 'HTTP floods'({ count, requests }) {
    const text = `GET /health ${HTTP_HEAD}\r\n`.repeat(requests);
    await dialAll(count, (socket) => {
      let answered = 0;
      socket.on('data', (chunk) => {
        // Each answer has one.
        for (let at = chunk.indexOf('{'); at >= 0; at = chunk.indexOf('{', at + 1)) {
          answered++;
          counts.replies++;
        }
        if (answered < requests || stopped) return;
        answered -= requests;
        socket.write(text);
      });
      socket.write(text);
    });
  },

  /** So many streams of signals that nobody reads; others publish, over TCP. Who is cut off comes back. */
  async 'deaf streams'({ count, lanes, bytes }) {
    const listen = (socket) => {
      socket.write(`GET /v1/signals?pattern=attack.deaf ${HTTP_HEAD}\r\n`);
      socket.pause();
    };
    await dialAll(count, listen);
    const signal = `signal\nattack.deaf\n${'x'.repeat(bytes)}\n`;
    loops = Array.from({ length: lanes }, () => askAll(Infinity, () => signal, undefined, 20, tcp));
    every(1000, () => open.size < count && void dialAll(count - open.size, listen));
  },

  /** Takes a new key with each request, and never gives one back, until it hangs up. */
  async keys({ count, lanes }) {
    once = take(count, lanes);
  },

  /** So many keys are there, and so many ask for all of them at once, read what they get, and ask again. */
  async stats({ count, keys }) {
    await Promise.all(take(keys, 4, stayOn));
    counts.replies = 0;
    await dialAll(count, (socket) => {
      const ask = () => stopped || socket.write('stats\n_\n\n');
      socket.on('data', (chunk) => {
        counts.bytes += chunk.length;
        if (chunk[chunk.length - 1] !== LF) return;
        counts.replies++;
        ask();
      });
      ask();
    });
  },

  /** So many listen and never read; others publish. Who is cut off comes back. */
  async 'deaf listeners'({ count, lanes, bytes }) {
    const listen = (socket) => {
      socket.write('listen\nattack.deaf\n\n');
      socket.pause();
    };
    await dialAll(count, listen);
    const signal = `signal\nattack.deaf\n${'x'.repeat(bytes)}\n`;
    loops = Array.from({ length: lanes }, () => askAll(Infinity, () => signal, undefined, 20));
    every(1000, () => open.size < count && void dialAll(count - open.size, listen));
  },

  /** So many patterns, as many on each connection as it may have, which all begin as the channels that others publish on. */
  async 'pattern floods'({ count, patterns, lanes }) {
    const listen = (lane) => (i) => `listen\nattack.*.${lane}.${i}\n\n`;
    await Promise.all(Array.from({ length: count }, (_, lane) => askAll(patterns, listen(lane), stayOn)));
    counts.replies = 0;
    loops = Array.from({ length: lanes }, (_, lane) =>
      askAll(Infinity, (i) => `signal\nattack.${i % 7}.${lane}.${i % patterns}\nx\n`, undefined, 20),
    );
  },
};

/** Connections that begin with some text and go on byte by byte; who is cut off comes back. */
async function dribble(count, byteMs, beginning, text) {
  const begin = (socket) => {
    socket.resume();
    socket.sent = 0;
    if (beginning) socket.write(beginning);
  };
  await dialAll(count, begin);
  every(byteMs, () => {
    for (const socket of open)
      socket.write(text.subarray(socket.sent % text.length, (socket.sent++ % text.length) + 1));
    if (open.size < count) void dialAll(count - open.size, begin);
  });
}

/** Keys that are taken by some connections, and what is done with these afterwards. */
const take = (count, lanes, use) =>
  Array.from({ length: lanes }, (_, lane) =>
    askAll(Math.ceil(count / lanes), (i) => `l\nattack:key:${lane}:${i}\n0 3600\n`, use),
  );

/** It says something now and then, or it would be cut off with all that it has. */
function stayOn(socket) {
  socket.removeAllListeners('data');
  socket.resume();
  every(500, () => open.has(socket) && socket.write('ping\n_\n\n'));
}

answer({
  async begin({ kind, address, http, leaveAtOnce = Infinity, ...rest }) {
    at = http ?? address;
    tcp = address;
    leaving = leaveAtOnce;
    stopped = false;
    for (const name of Object.keys(counts)) counts[name] = 0;
    await ATTACKS[kind](rest);
  },
  /** Resolves when what an attack does once is done. */
  finished: () => Promise.all(once),
  counts: () => ({ ...counts, open: open.size }),
  /** All at once, or some at a time. */
  async end() {
    stopped = true;
    timers.forEach(clearInterval);
    timers = [];
    let left = 0;
    for (const socket of [...open]) {
      hangUp(socket);
      if (++left % leaving === 0) await pause(LEAVE_MS);
    }
    await Promise.all([...loops, ...once]);
    loops = [];
    once = [];
    return { ...counts };
  },
});
