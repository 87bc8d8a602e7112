import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../attack/until.mjs';
import { HttpSocket, requestText } from './http-socket.mjs';
import { Random } from './random.mjs';

const PER_WAVE = 250;
const KEYS = 10;
const SLOTS = 2;
/** Within so many milliseconds, waits of a racing wave begin to end. */
const SOON_MS = 60;
/** Sessions that nobody deletes are gone soon. */
const OPTIONS = { readTimeout: 3, httpSessionIdleTimeout: 3, httpSsePingInterval: 1 };
/** Every so many waves the daemon shuts down while they wait. */
const DRAIN_EVERY = 8;
const HEAP_BOUND = 4 * 2 ** 20;
/** The holder says so often that it is there. */
const PING_MS = 500;
/** A session may end after so much silence: the read timeout, less what the end of an answer may be told late. */
const SILENCE_MS = OPTIONS.readTimeout * 1000 - 100;
/** So many waves may be repeated because this machine stalled, and the session of their holder was silent. */
const STALLED_WAVES = 5;
const SETTLED_WITHIN_MS = 30_000;

const LEAVING = {
  FIN: (socket) => socket.leave(),
  RST: (socket) => socket.reset(),
  'half-close': (socket) => socket.socket.end(),
};
const DEPARTURES = Object.keys(LEAVING);
const KINDS = ['locks', 'semaphores', 'locks two-phase', 'semaphores two-phase', 'locks turn', 'semaphores turn'];

const naming = (sid) => ({ 'X-Dflockd-Session': sid });
const limitOf = (kind) => (kind.startsWith('sem') ? { limit: SLOTS } : {});
const mega = (bytes) => (bytes / 2 ** 20).toFixed(1);

/**
 * So many waits over HTTP, and as many streams of signals, that end in every way at random: nothing of them may be left. Where
 * a session is gone, the daemon's process says whether it was silent for the read timeout: this process may have stalled.
 *
 * @param {import('../../bench/support/child.mjs').Child} daemon
 */
export async function waits(daemon, count, seed, say) {
  const random = new Random(seed);
  const violations = new Set();
  /** Of the current wave. */
  const found = new Set();
  const ended = {};
  let at;
  let desk;
  let before;
  let streamed = 0;
  let stalled = 0;

  const broken = (what) => found.add(what);
  const counted = (how) => (ended[how] = (ended[how] ?? 0) + 1);

  await start();
  for (let wave = 0, done = 0; done < count; wave++) {
    const size = Math.min(PER_WAVE, count - done);
    const kind = wave % DRAIN_EVERY === 2 ? drainWave : wave % 2 === 0 ? calmWave : racingWave;
    while (!(await isJudged(kind, `${wave}${'r'.repeat(stalled)}`, size)));
    done += size;
    if (streamed < done) await streams(wave, done - streamed);
    if (wave === 1) before = await settled();
    if (wave % DRAIN_EVERY === 0) say(`${done} waits and streams`);
  }
  const left = await settled();
  // The first two waves fill what is kept.
  const grown = before === undefined ? 0 : left - before;
  if (grown > HEAP_BOUND) broken(`the heap has grown by ${mega(grown)} MB`);
  for (const reason of await daemon.ask('rejections')) broken(reason);
  await stop();
  keepFound();
  const ways = Object.entries(ended).map(([how, times]) => `${times} ${how}`);
  return {
    said: `${ways.sort().join(', ')}; heap ${before === undefined ? 'not judged: too few waits' : `${mega(grown)} MB`}`,
    violations: [...violations],
  };

  /** Carries out a wave. Returns false if it must be repeated, because its holder was silent for too long. */
  async function isJudged(kind, wave, size) {
    keepFound();
    const holder = await kind(wave, size);
    if (!holder.isLost) return true;
    found.clear();
    counted('wave repeated after a stall of this machine');
    if (++stalled <= STALLED_WAVES) return false;
    broken(`in ${stalled} waves the holder was silent for longer than the read timeout: this machine stalls too often`);
    return true;
  }

  function keepFound() {
    for (const what of found) violations.add(what);
    found.clear();
  }

  /** Whether a session that is gone has been silent for the read timeout. */
  async function wasSilent(sid) {
    return (await daemon.ask('silence', sid)) >= SILENCE_MS;
  }

  async function start() {
    at = await daemon.ask('listen', OPTIONS);
    desk = await HttpSocket.open(at.http);
  }

  async function stop() {
    await daemon.ask('close');
    desk.leave();
    const left = async () => (await daemon.ask('sockets')) + (await daemon.ask('ports'));
    await until(async () => (await left()) === 0, 5000, 'that a shutdown closes').catch(async () =>
      broken(`${await left()} sockets are left after a shutdown`),
    );
  }

  /** Everything waits before anything ends, and nothing is released: what is held must not change. */
  async function calmWave(wave, size) {
    const holder = await hold(wave);
    const plans = Array.from({ length: size }, () => plan(wave, random.of([...DEPARTURES, 'DELETE', 'timeout'])));
    const patient = await Promise.all(plans.filter(({ ending }) => ending !== 'timeout').map(ask));
    await allWait(wave, holder, patient.length);
    const others = plans.filter(({ ending }) => ending === 'timeout').map(async (one) => end(await ask(one), holder));
    await Promise.all([...patient.map((one) => end(one, holder)), ...others]);
    await until(async () => (await keysOf(wave)).waiters === 0, 10_000, 'that nobody waits').catch(async () =>
      broken(`${(await keysOf(wave)).waiters} waiters are left`),
    );
    const { locks, slots } = await keysOf(wave);
    if (locks !== KEYS || slots !== KEYS * SLOTS) broken(`${locks} locks and ${slots} slots are held by one session`);
    await release(holder);
    await holder.close();
    return holder;
  }

  async function allWait(wave, holder, size) {
    await until(async () => holder.isLost || (await keysOf(wave)).waiters === size, 10_000, 'that all wait');
  }

  /** What is held is released while waits begin and end, and granted to those that are still there. */
  async function racingWave(wave, size) {
    const holder = await hold(wave);
    const releasing = pause(random.below(SOON_MS)).then(() => release(holder));
    const plans = Array.from({ length: size }, () =>
      plan(wave, random.of([...DEPARTURES, 'DELETE', 'timeout', 'grant'])),
    );
    const racing = plans.map(async (one) => {
      const asked = await ask(one);
      await pause(one.delay);
      await end({ ...asked, races: true }, holder);
    });
    await Promise.all([...racing, releasing]);
    await holder.close();
    return holder;
  }

  /** The daemon shuts down while they wait, listen and leave. */
  async function drainWave(wave, size) {
    const holder = await hold(wave);
    const all = await Promise.all(Array.from({ length: size }, () => plan(wave, 'shutdown')).map(ask));
    await allWait(wave, holder, size);
    const listening = await Promise.all(Array.from({ length: size }, () => listen(wave)));
    holder.rest();
    await holder.ping();
    const leaves = async (socket, delay, departure) => {
      await pause(delay);
      LEAVING[departure](socket);
      counted(`stream or wait gone by ${departure} during a shutdown`);
    };
    const endings = [];
    for (const [i, one] of all.entries()) {
      one.front?.socket.resume();
      if (i % 2 === 0) endings.push(end(one, holder));
      else endings.push(leaves(one.socket, one.delay, random.of(DEPARTURES)));
    }
    for (const [i, socket] of listening.entries()) {
      if (i % 2 === 0) endings.push(streamEnds(socket));
      else endings.push(leaves(socket, random.below(SOON_MS), random.of(DEPARTURES)));
    }
    streamed += size;
    endings.push(pause(SOON_MS / 2).then(stop));
    await Promise.all(endings);
    for (const { socket, front } of all) [socket, front].forEach((each) => each?.leave());
    holder.leave();
    await start();
    return holder;
  }

  /** Streams that are read or not while signals are sent. */
  async function streams(wave, size) {
    const all = await Promise.all(Array.from({ length: size }, () => listen(wave)));
    const talking = Array.from({ length: 20 }, () =>
      desk.ask('POST', `/v1/signals/s${wave}.x`, {}, JSON.stringify({ payload: 'x'.repeat(random.below(5000) + 1) })),
    );
    const leaving = all.map(async (socket) => {
      const departure = random.of(DEPARTURES);
      if (random.oneIn(3)) socket.socket.pause();
      await pause(random.below(SOON_MS));
      LEAVING[departure](socket);
      counted(`stream gone by ${departure}`);
      socket.socket.resume();
      if (departure === 'half-close') await closed(socket);
    });
    await Promise.all([...talking, ...leaving]);
    streamed += size;
  }

  async function listen(wave) {
    const socket = await HttpSocket.open(at.http);
    socket.send(requestText('GET', `/v1/signals?pattern=s${wave}.%3E`));
    const answer = await socket.answer();
    if (answer?.status !== 200) broken(`a stream was answered ${answer?.status}`);
    return socket;
  }

  async function streamEnds(socket) {
    const text = await closed(socket);
    if (text.endsWith('\r\n0\r\n\r\n')) counted('stream ended by a shutdown');
    else broken(`a shutdown cut a stream: ${JSON.stringify(text.slice(-20))}`);
  }

  async function closed(socket) {
    const end = performance.now() + 10_000;
    while (!socket.ended && performance.now() < end) await socket.news(1000);
    if (!socket.ended) broken('a connection stays open that should have ended');
    return socket.received;
  }

  function plan(wave, ending) {
    const kind = random.of(KINDS);
    const path = `/v1/${kind.split(' ')[0]}/w${wave}.${random.below(KEYS)}`;
    const waitS = ending === 'timeout' ? 1 : 60;
    return { kind, path, ending, waitS, delay: random.below(SOON_MS), isForgotten: random.oneIn(20) };
  }

  /** Opens a session, and asks for the wait in it. */
  async function ask(one) {
    const { kind, path, waitS } = one;
    const socket = await HttpSocket.open(at.http);
    const sid = JSON.parse((await socket.ask('POST', '/v1/sessions')).body).session_id;
    if (kind.endsWith('two-phase')) {
      const enqueued = await socket.ask('POST', `${path}/enqueue`, naming(sid), JSON.stringify(limitOf(kind)));
      if (enqueued.status === 410 && (await wasSilent(sid))) {
        socket.leave();
        return ask(one);
      }
      if (enqueued.status !== 200) broken(`enqueue was answered ${enqueued.status}`);
      socket.send(requestText('POST', `${path}/wait`, naming(sid), JSON.stringify({ timeout_s: waitS })));
      return { ...one, socket, sid };
    }
    const fields = { acquire_timeout_s: waitS, lease_ttl_s: 60, ...limitOf(kind) };
    const acquire = requestText('POST', path, naming(sid), JSON.stringify(fields));
    // Behind a request of the same session that waits as long.
    const front = kind.endsWith('turn') ? await HttpSocket.open(at.http) : undefined;
    front?.send(acquire);
    socket.send(acquire);
    return { ...one, socket, sid, front };
  }

  async function end(one, holder) {
    const { socket, sid, ending, front } = one;
    if (LEAVING[ending]) {
      LEAVING[ending](socket);
      counted(`gone by ${ending}`);
      if (ending === 'half-close') {
        // The answer may have been on its way.
        const text = await closed(socket);
        if (text !== '' && !text.startsWith('HTTP/1.1 200 ')) broken(`half-closed, and told ${text.slice(0, 60)}`);
      }
      front?.leave();
      // Among those who race for grants, the lock of a client that left while it was granted would hold up all others.
      if (!one.isForgotten || one.races) await holder.remove(sid);
      return;
    }
    const answering = Promise.all([front, socket].filter(Boolean).map((each) => answered(each, one, holder)));
    if (ending === 'DELETE') await holder.remove(sid);
    await answering;
    if (ending === 'timeout' || ending === 'grant') {
      if (!one.isForgotten) await holder.remove(sid);
      socket.leave();
      front?.leave();
    } else if (ending === 'DELETE') {
      const { status } = await socket.ask('POST', `/v1/sessions/${sid}/ping`);
      if (status !== 410) broken(`a deleted session answers ${status}`);
      socket.leave();
      front?.leave();
    }
  }

  async function answered(socket, { ending, path, sid }, holder) {
    const answer = await socket.answer(70_000);
    if (!answer) return void broken(`no answer to a wait that was to end by ${ending}`);
    const { status, body } = answer;
    const said = status === 200 ? JSON.parse(body).status : JSON.parse(body).error;
    counted(`${ending}: ${said}`);
    const expected = {
      DELETE: ['200 ok', '410 session_gone'],
      timeout: ['200 timeout', '200 ok'],
      grant: ['200 ok'],
      shutdown: ['410 session_gone'],
    }[ending];
    if (!expected.includes(`${status} ${said}`) && !(status === 410 && (await wasSilent(sid))))
      broken(`a wait that was to end by ${ending}: ${status} ${said}`);
    if (said === 'ok') await holder.release(path, JSON.parse(body).token);
  }

  /** A session that holds every key of the wave, releases what others got, and deletes their sessions. */
  async function hold(wave) {
    const socket = await HttpSocket.open(at.http);
    const sid = JSON.parse((await socket.ask('POST', '/v1/sessions')).body).session_id;
    const held = [];
    for (const kind of ['locks', 'semaphores', 'semaphores']) {
      for (let key = 0; key < KEYS; key++) {
        const path = `/v1/${kind}/w${wave}.${key}`;
        const fields = JSON.stringify({ lease_ttl_s: 60, ...limitOf(kind) });
        const { status, body } = await socket.ask('POST', path, naming(sid), fields);
        if (status === 410 && (await wasSilent(sid))) {
          socket.leave();
          return hold(wave);
        }
        if (status !== 200 || JSON.parse(body).status !== 'ok') throw new Error(`${path}: ${status} ${body}`);
        held.push([path, JSON.parse(body).token]);
      }
    }
    // Not behind the hundreds of requests that it makes for others.
    const heart = await HttpSocket.open(at.http);
    const pinging = setInterval(() => void holder.ping().catch(() => {}), PING_MS);
    const holder = {
      held,
      /** Its session has ended because this process, or the daemon's, stalled: anything may have been granted since. */
      isLost: false,
      rest: () => clearInterval(pinging),
      /** The session of the holder is gone. */
      async gone(what) {
        if (await wasSilent(sid)) holder.isLost = true;
        else broken(`${what} was answered 410, though its session was pinged in time`);
      },
      async ping() {
        const { status } = await heart.ask('POST', `/v1/sessions/${sid}/ping`);
        if (status === 410) await holder.gone('a ping');
      },
      async release(path, token) {
        const body = JSON.stringify({ token });
        const { status } = await socket.ask('POST', `${path}/release`, naming(sid), body);
        if (status === 410) await holder.gone('a release');
        // The session of the grant may have been deleted meanwhile.
        else if (status !== 204 && status !== 404) broken(`release was answered ${status}`);
      },
      async remove(other) {
        const { status } = await socket.ask('DELETE', `/v1/sessions/${other}`);
        if (status !== 204 && !(status === 410 && (await wasSilent(other)))) broken(`DELETE was answered ${status}`);
      },
      async close() {
        await holder.ping();
        clearInterval(pinging);
        if (!holder.isLost) await holder.remove(sid);
        holder.leave();
      },
      leave() {
        socket.leave();
        heart.leave();
      },
    };
    return holder;
  }

  async function release(holder) {
    for (const [path, token] of holder.held) await holder.release(path, token);
  }

  /** What there is of the keys of a wave. */
  async function keysOf(wave) {
    const { locks, semaphores } = JSON.parse((await desk.ask('GET', '/v1/stats')).body);
    const of = (rows) => rows.filter(({ key }) => key.startsWith(`w${wave}.`));
    const total = (rows, name) => of(rows).reduce((sum, row) => sum + row[name], 0);
    return {
      waiters: total(locks, 'waiters') + total(semaphores, 'waiters'),
      locks: of(locks).filter(({ owner_conn_id: owner }) => owner > 0).length,
      slots: total(semaphores, 'holders'),
    };
  }

  /** Waits until nothing is there; returns the bytes in use. */
  async function settled() {
    let left;
    const nothing = async () => {
      const { body } = await desk.ask('GET', '/metrics');
      const gauge = (name) => Number(new RegExp(`^dflockd_${name} (\\d+)$`, 'm').exec(body)[1]);
      left = {
        sessions: gauge('http_sessions'),
        locks: gauge('locks_held'),
        'waiters of locks': gauge('lock_waiters'),
        slots: gauge('semaphore_holders'),
        'waiters of semaphores': gauge('semaphore_waiters'),
        listeners: gauge('signal_listeners'),
        'TCP connections': await daemon.ask('connections'),
        sockets: (await daemon.ask('sockets')) - 1,
      };
      return Object.values(left).every((n) => n === 0);
    };
    await until(nothing, SETTLED_WITHIN_MS, 'that nothing is left', 200).catch(() =>
      broken(`left over: ${JSON.stringify(left)}`),
    );
    return daemon.ask('inUse');
  }
}
