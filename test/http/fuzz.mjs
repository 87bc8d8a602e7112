import { STATUS_CODES } from 'node:http';
import { quantile } from '../../bench/support/statistics.mjs';
import { clientOptions, startCallers } from '../attack/siege.mjs';
import { until } from '../attack/until.mjs';
import { fault } from './documented.mjs';
import { HttpSocket, Malformed } from './http-socket.mjs';
import { mutated, validRequest } from './mutated.mjs';
import { Random } from './random.mjs';

const CONNECTIONS = 64;
/** Who is not answered by then has sent something incomplete, or waits for a lock. */
const PATIENCE_MS = 150;
const SECRET = 'fuzz-secret';
const OPTIONS = { readTimeout: 2 };
/** Until then tables grow that stay. */
const WARM_UP = 2000;
/** Requests in a session. */
const PER_SESSION = 200;
const HEAP_BOUND = 4 * 2 ** 20;
/** On a machine that does other things, too; the turns are judged by what they take of a processor. */
const P99_BOUND_MS = 1000;
const TURN_BOUND_MS = 50;

/** What is wrong with an answer to a request that began as HEAD, and with what came behind it. */
function headFault({ status, headers }, rest) {
  if ((status >= 500 && status !== 501) || !(status in STATUS_CODES)) return `HEAD answered ${status}`;
  // Go, too, tells a text to whoever sent no request.
  const isText = (status === 400 || status === 431) && headers.get('connection') === 'close';
  return rest === '' || rest.startsWith('HTTP/1.1 ') || isText ? undefined : 'an answer to HEAD with a body';
}

/** So many mutated requests, as bytes over sockets, while clients over TCP go about their work. */
export async function fuzz(daemon, count, seed, say, build) {
  const violations = new Map();
  const statuses = {};
  const broken = (what) => violations.set(what, (violations.get(what) ?? 0) + 1);
  const callers = startCallers(build);
  try {
    const most = await part(count - Math.ceil(count / 20), undefined);
    const rest = await part(Math.ceil(count / 20), SECRET);
    for (const reason of [...(await daemon.ask('rejections')), ...(await callers.ask('rejections'))]) broken(reason);
    const list = Object.entries(statuses).map(([status, times]) => `${status}: ${times}`);
    return {
      said: [list.join(', '), most, `with a token: ${rest}`].join('; '),
      violations: [...violations].map(([what, times]) => `${times} × ${what}`),
    };
  } finally {
    await callers.stop();
  }

  async function part(size, secret) {
    const at = await daemon.ask('listen', { ...OPTIONS, ...(secret === undefined ? {} : { authToken: secret }) });
    const random = new Random(seed + (secret === undefined ? 0 : 1));
    const warmUp = Math.min(WARM_UP, size / 2);
    let before;
    if (secret === undefined) {
      const options = clientOptions(at.tcp);
      await callers.ask('open', options);
      await callers.ask('hold');
      await send(warmUp, random, at.http, secret);
      before = await settled();
      await daemon.ask('vitals');
      await callers.ask('start');
    }
    await send(before === undefined ? size : size - warmUp, random, at.http, secret);
    if (before === undefined) {
      await noSockets();
      await daemon.ask('close');
      return `${size} requests`;
    }
    const { waits, errors, late } = await callers.ask('stop');
    const { ownMaxMs } = await daemon.ask('vitals');
    const grown = (await settled()) - before;
    const sorted = waits.sort((a, b) => a - b);
    const p99 = quantile(sorted, 0.99);
    for (const [name, times] of Object.entries(errors)) broken(`${times} × ${name} for clients over TCP`);
    if (late > 0) broken(`${late} clients over TCP were answered after their deadline`);
    if (!(p99 <= P99_BOUND_MS)) broken(`the p99 of clients over TCP was ${p99.toFixed(0)} ms`);
    if (!(ownMaxMs <= TURN_BOUND_MS)) broken(`a turn of the daemon took ${ownMaxMs.toFixed(0)} ms of its processor`);
    if (grown > HEAP_BOUND) broken(`the heap has grown by ${(grown / 2 ** 20).toFixed(1)} MB`);
    await callers.ask('close');
    await daemon.ask('close');
    return (
      `${waits.length} calls of clients over TCP, p99 ${p99.toFixed(1)} ms, longest ${sorted.at(-1).toFixed(0)} ms; ` +
      `longest turn ${ownMaxMs.toFixed(0)} ms; heap ${(grown / 2 ** 20).toFixed(1)} MB`
    );
  }

  async function noSockets() {
    const others = () => daemon.ask('connections');
    const left = async () => (await daemon.ask('sockets')) - (await others());
    await until(async () => (await left()) === 0, 15_000, 'that no socket is left').catch(async () =>
      broken(`${await left()} sockets are left`),
    );
  }

  /** Sessions that were left alone end with their keys. */
  async function settled() {
    await noSockets();
    let last = Infinity;
    await until(
      async () => {
        const now = await daemon.ask('inUse');
        const isSettled = now > last - HEAP_BOUND / 16;
        last = now;
        return isSettled;
      },
      30_000,
      'that the heap is flat',
      2500,
    );
    return last;
  }

  async function send(size, random, http, secret) {
    let sent = 0;
    await Promise.all(
      Array.from({ length: CONNECTIONS }, async (_, lane) => {
        let socket;
        let state;
        const own = new Random(random.below(2 ** 31));
        const authorization = secret === undefined ? {} : { Authorization: `Bearer ${secret}` };
        for (let n = 0; sent < size; n++) {
          if (n % PER_SESSION === 0)
            state = await newState(http, authorization, `fuzz ${lane % 8}`.replace(' ', '.'), secret);
          const isHead = own.oneIn(50);
          // What is left of earlier requests must not be taken for the answer to HEAD.
          if (isHead || (socket && own.oneIn(10))) {
            socket?.leave();
            socket = undefined;
          }
          socket ??= await open(http);
          if (!socket) continue;
          const requests = Array.from({ length: own.oneIn(8) ? 1 + own.below(4) : 1 }, () =>
            mutated(own, validRequest(own, state)),
          );
          let text = requests.join('');
          if (isHead) text = text.replace(/^[A-Z]+ /, 'HEAD ');
          sent += requests.length;
          if (sent % 20_000 < requests.length) say(`${sent} requests`);
          await write(socket, text, own);
          if (!(await heard(socket, text, isHead && text.startsWith('HEAD '), state))) {
            if (own.oneIn(3)) socket.reset();
            else socket.leave();
            socket = undefined;
          }
        }
        socket?.leave();
        await remove(http, authorization, state);
      }),
    );
  }

  async function open(http) {
    return HttpSocket.open(http).catch((error) => void broken(`no connection: ${error.code}`));
  }

  async function newState(http, authorization, key, secret) {
    const socket = await HttpSocket.open(http);
    const { body } = await socket.ask('POST', '/v1/sessions', authorization);
    const sid = JSON.parse(body).session_id;
    const headers = { ...authorization, 'X-Dflockd-Session': sid };
    const got = await socket.ask('POST', `/v1/locks/${key}.own`, headers, '{"lease_ttl_s":5}');
    socket.leave();
    return { sid, key, token: JSON.parse(got.body).token ?? 'x'.repeat(32), secret };
  }

  async function remove(http, authorization, { sid }) {
    const socket = await HttpSocket.open(http);
    await socket.ask('DELETE', `/v1/sessions/${sid}`, authorization);
    socket.leave();
  }

  async function write(socket, text, random) {
    const pieces = random.oneIn(4) ? 1 + random.below(5) : 1;
    let rest = text;
    for (let i = 1; i < pieces; i++) {
      const at = random.below(rest.length + 1);
      socket.send(rest.slice(0, at));
      rest = rest.slice(at);
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.send(rest);
  }

  /** @returns whether the connection can be used again */
  async function heard(socket, text, isHead, { sid, token }) {
    try {
      const first = await socket.answer(PATIENCE_MS, isHead);
      for (let answer = first; answer; answer = socket.take()) {
        statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
        const wrong = isHead ? headFault(answer, socket.received) : fault(answer, [sid, token]);
        if (wrong) broken(`${wrong}, to ${JSON.stringify(text.slice(0, 400))}`);
        if (isHead || answer.headers.get('content-type') === 'text/event-stream') return false;
      }
      if (!first)
        statuses[socket.ended ? 'closed' : 'silent'] = (statuses[socket.ended ? 'closed' : 'silent'] ?? 0) + 1;
      return first !== undefined && !socket.ended;
    } catch (error) {
      if (!(error instanceof Malformed) && !(error instanceof SyntaxError)) throw error;
      broken(`${error.message}, to ${JSON.stringify(text.slice(0, 400))}`);
      return false;
    }
  }
}
