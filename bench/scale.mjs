// Measures what one operation of the engine costs among 10 … 1,000,000 others. See `node bench/scale.mjs --help`.
import { fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { buildFolder } from './support/build.mjs';
import { circumstances } from './support/report.mjs';
import { spread } from './support/statistics.mjs';

const HELP = `node bench/scale.mjs [options]

  --max N           the largest n (default 1000000)
  --batches N       timed batches for each figure (default 41)
  --json FILE       the figures with their quartiles, as JSON
  --only TEXT       only scenes whose names contain TEXT
  --build FOLDER    another ESM build than dist/esm
  --help
`;

const { values: options } = parseArgs({
  options: {
    max: { type: 'string', default: '1000000' },
    batches: { type: 'string', default: '41' },
    json: { type: 'string' },
    only: { type: 'string', default: '' },
    build: { type: 'string' },
    help: { type: 'boolean', default: false },
    scene: { type: 'string' },
  },
});

/** Most operations between two readings of the clock. */
const BATCH = 500;
/** Background leases and waits end after everything that is measured. */
const FAR = 1e9;
const TICK = 1000;

/** An engine, its clock, and sessions that record their answers. */
class Stage {
  now = 0;
  last = undefined;
  /** The latest grant. */
  granted = { op: 0, token: '' };
  #op = 0;
  #lib;

  constructor(lib) {
    this.#lib = lib;
    const limits = { ...lib.DEFAULT_ENGINE_OPTIONS, maxLocks: Infinity };
    this.engine = new lib.Engine(limits, new lib.FencedTokens(lib.systemEntropy, 0n), 0);
    this.session = this.open();
  }

  open() {
    const reply = (op, answer) => {
      this.last = answer;
      if (answer.s === 'granted') this.granted = { op, token: answer.token };
    };
    return this.engine.open({ reply, push: () => true, evict() {} }, 'bench');
  }

  exec(command, session = this.session) {
    this.engine.exec(session, ++this.#op, command, this.now);
    return this.#op;
  }

  /** Executes what must be granted at once; returns the token. */
  grant(command, session = this.session) {
    this.exec(command, session);
    if (this.last.s !== 'granted') throw new Error(`${command.key}: ${this.last.s}`);
    return this.last.token;
  }

  expect(status) {
    if (this.last.s !== status) throw new Error(`${this.last.s}, expected ${status}`);
  }

  /** Advances to the next tick of the sweep; nothing was due before. */
  tick() {
    this.now = (Math.floor(this.now / TICK) + 1) * TICK;
    this.engine.advance(this.now, this.now);
  }
}

const acquire = (kind, key, limit, leaseMs, waitMs = 0) => ({ t: 'acquire', kind, key, limit, waitMs, leaseMs });
const release = (kind, key, token) => ({ t: 'release', kind, key, token });
const renew = (kind, key, token, leaseMs) => ({ t: 'renew', kind, key, token, leaseMs });

const times = (count, make) => Array.from({ length: count }, (_, i) => make(i));
/** A lease that ends at a random time in the far future: leases do not end in the order of their acquires. */
const someFar = () => FAR + Math.floor(Math.random() * FAR);

function shuffled(items) {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [items[i], items[j]] = [items[j], items[i]];
  }
  return items;
}

/**
 * A scene is set up once for each n. `run` then measures one batch of `count` operations of each kind in the scene:
 * `time(name, operation)` calls the operation with 0 … count - 1. The scene undoes whatever it changes.
 */
const SCENES = {
  'n keys held': (stage, n) => {
    for (let i = 0; i < n; i++) stage.grant(acquire('lock', `held:${i}`, 1, someFar()));
    let made = 0;
    return (count, time) => {
      const keys = times(count, () => `new:${made++}`);
      const commands = keys.map((key) => acquire('lock', key, 1, someFar()));
      const releases = keys.map((key) => release('lock', key, ''));
      time('acquire of a new key', (i) => (releases[i].token = stage.grant(commands[i])));
      shuffled(releases);
      time('release', (i) => stage.exec(releases[i]));
      stage.expect('ok');
      for (const command of releases) command.token = stage.grant(acquire('lock', command.key, 1, someFar()));
      for (const command of releases) stage.exec(command);
      time(
        'acquire of an idle key',
        (i) => (releases[i].token = stage.grant(acquire('lock', releases[i].key, 1, FAR))),
      );
      for (const command of releases) stage.exec(command);
      stage.now = Math.ceil(stage.now / 5000) * 5000 + 65_000;
      time('collection of an idle key', 'all', () => stage.engine.advance(stage.now, stage.now));
    };
  },

  'n leases': (stage, n) => {
    const held = times(n, (i) => renew('lock', `held:${i}`, '', 0));
    for (const command of held) command.token = stage.grant(acquire('lock', command.key, 1, someFar()));
    let next = 0;
    shuffled(held);
    const key = (i) => `short:${i}`;
    return (count, time) => {
      const commands = times(count, () => held[next++ % n]);
      for (const command of commands) command.leaseMs = someFar();
      time('renew', (i) => stage.exec(commands[i]));
      stage.expect('renewed');
      stage.now++;
      for (const command of commands) command.leaseMs = 2 * FAR;
      time('renew, the end moves to the last', (i) => stage.exec(commands[i]));
      const leases = shuffled(times(count, (i) => 1 + i / count));
      for (let i = 0; i < count; i++) stage.grant(acquire('lock', key(i), 1, leases[i]));
      time('expire: lapse and sweep', 'all', () => stage.tick());
      if (stage.engine.isHeld('lock', key(0))) throw new Error('not swept');
    };
  },

  'n waiters of one key': (stage, n) => {
    let token = stage.grant(acquire('lock', 'k', 1, FAR));
    const sessions = times(1000, () => stage.open());
    const waiting = [];
    /** The index of an operation in `waiting`. */
    const places = new Map();
    const wait = (i) => {
      const session = sessions[i % sessions.length];
      const op = stage.exec(acquire('lock', 'k', 1, FAR, someFar()), session);
      waiting[i] = { session, op };
    };
    const note = (i) => places.set(waiting[i].op, i);
    for (let i = 0; i < n; i++) (wait(i), note(i));
    return (count, time) => {
      // Those that leave are spread over the whole queue.
      const step = Math.max(1, Math.floor(n / count));
      const leaving = shuffled(times(count, (i) => i * step)).slice(0, count);
      time('leave the middle of the queue', (i) => {
        const { session, op } = waiting[leaving[i]];
        stage.engine.cancel(session, op, stage.now);
      });
      stage.expect('cancelled');
      for (const place of leaving) places.delete(waiting[place].op);
      time('join the queue', (i) => wait(leaving[i]));
      leaving.forEach(note);
      const guests = times(count, () => stage.open());
      guests.forEach((guest) => stage.exec(acquire('lock', 'k', 1, FAR, FAR), guest));
      time('leave by disconnect', (i) => stage.engine.close(guests[i], stage.now, true));
      for (let i = 0; i < count; i++) stage.exec(acquire('lock', 'k', 1, FAR, i / count));
      time('time out', 'all', () => stage.tick());
      stage.expect('timeout');
      // A waiter that was served goes to the tail.
      const releases = times(count, () => release('lock', 'k', ''));
      const served = [];
      time('hand over to the head', (i) => {
        releases[i].token = token;
        stage.exec(releases[i]);
        token = stage.granted.token;
        served.push(stage.granted.op);
      });
      for (const op of served) {
        const place = places.get(op);
        places.delete(op);
        wait(place);
        note(place);
      }
    };
  },

  'one semaphore with n holders': (stage, n) => {
    const limit = n + BATCH;
    const tokens = times(n, () => stage.grant(acquire('sem', 's', limit, someFar())));
    const renewals = shuffled(tokens).map((token) => renew('sem', 's', token, 0));
    let next = 0;
    return (count, time) => {
      const releases = times(count, () => release('sem', 's', ''));
      const commands = times(count, () => acquire('sem', 's', limit, someFar()));
      time('acquire', (i) => (releases[i].token = stage.grant(commands[i])));
      shuffled(releases);
      time('release', (i) => stage.exec(releases[i]));
      stage.expect('ok');
      const chosen = times(count, () => renewals[next++ % n]);
      for (const command of chosen) command.leaseMs = someFar();
      time('renew', (i) => stage.exec(chosen[i]));
      stage.expect('renewed');
      for (let i = 0; i < count; i++) stage.grant(acquire('sem', 's', limit, 1 + i / count));
      time('expire: lapse and sweep', 'all', () => stage.tick());
    };
  },

  'n sessions with one lock each': (stage, n) => {
    times(n, (i) => stage.grant(acquire('lock', `held:${i}`, 1, someFar()), stage.open()));
    return (count, time) => {
      let sessions;
      time('open', 'all', () => (sessions = times(count, () => stage.open())));
      sessions.forEach((session, i) => stage.grant(acquire('lock', `k${i}`, 1, FAR), session));
      time('close, the lock is released', (i) => stage.engine.close(sessions[i], stage.now, true));
    };
  },
};

/** Nanoseconds per operation, by scene and operation, for each n. */
function measure(scene, n, lib, batches) {
  const stage = new Stage(lib);
  const run = SCENES[scene](stage, n);
  // Otherwise the garbage collector would still work on the scene during the measurement.
  globalThis.gc?.();
  const found = new Map();
  let record = false;
  const count = Math.min(BATCH, n);
  const repeats = Math.ceil(BATCH / count);
  for (let batch = -Math.ceil(batches / 3); batch < batches; batch++) {
    record = batch >= 0;
    const sums = new Map();
    for (let repeat = 0; repeat < repeats; repeat++) {
      run(count, (name, operation, all) => {
        const begin = process.hrtime.bigint();
        if (operation === 'all') all();
        else for (let i = 0; i < count; i++) operation(i);
        const spent = Number(process.hrtime.bigint() - begin);
        sums.set(name, (sums.get(name) ?? 0) + spent);
      });
    }
    if (!record) continue;
    for (const [name, spent] of sums) {
      if (!found.has(name)) found.set(name, []);
      found.get(name).push(spent / (count * repeats));
    }
  }
  return [...found].map(([operation, ns]) => ({ scene, operation, n, ...spread(ns) }));
}

async function loadEngine(folder) {
  const load = (path) => import(pathToFileURL(join(folder, path)).href);
  const modules = ['core/engine.js', 'core/tokens.js', 'core/types.js', 'common/system.js'];
  return Object.assign({}, ...(await Promise.all(modules.map(load))));
}

/** Each figure comes from a process of its own, so that none includes the garbage of another. */
function inOwnProcess(scene, n) {
  return new Promise((resolve, reject) => {
    const args = ['--scene', scene, '--max', `${n}`, '--batches', options.batches];
    const build = options.build === undefined ? [] : ['--build', options.build];
    const child = fork(fileURLToPath(import.meta.url), [...args, ...build], {
      execArgv: ['--max-old-space-size=4096', '--expose-gc'],
    });
    child.once('message', resolve);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`"${scene}" with n = ${n} ended with ${code}`)));
  });
}

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

function markdown(figures, sizes) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const rows = new Map();
  for (const { scene, operation, n, median } of figures) {
    const name = `${scene}: ${operation}`;
    if (!rows.has(name)) rows.set(name, new Map());
    rows.get(name).set(n, median);
  }
  return [
    line(['ns per operation, medians', ...sizes.map((n) => `n = ${whole.format(n)}`)]),
    line(['---', ...sizes.map(() => '---:')]),
    ...[...rows].map(([name, byN]) => line([name, ...sizes.map((n) => whole.format(byN.get(n)))])),
    '',
  ].join('\n');
}

async function main() {
  const max = Number(options.max);
  const sizes = [];
  for (let n = 10; n <= max; n *= 10) sizes.push(n);
  const where = circumstances();
  const scenes = Object.keys(SCENES).filter((scene) => scene.includes(options.only));
  const figures = [];
  for (const scene of scenes) {
    for (const n of sizes) {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${scene}, n = ${whole.format(n)}`);
      figures.push(...(await inOwnProcess(scene, n)));
    }
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  const { date, node, platform, cpu, cores, loadAverage } = where;
  console.log(`${date}, node ${node}, ${platform}, ${cores} × ${cpu}, load average ${loadAverage.join(' ')}\n`);
  console.log(markdown(figures, sizes));
  if (options.json) writeFileSync(options.json, JSON.stringify({ ...where, figures }, undefined, 2) + '\n');
}

if (options.help) {
  process.stdout.write(HELP);
} else if (options.scene !== undefined) {
  const lib = await loadEngine(buildFolder(options.build));
  const figures = measure(options.scene, Number(options.max), lib, Number(options.batches));
  process.send(figures, () => process.exit());
} else {
  await main();
}
