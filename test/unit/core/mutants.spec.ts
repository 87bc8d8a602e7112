import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { type ModuleGraph, reached, readModuleGraph } from '../../support/module-graph.js';

/**
 * Do the tests of the engine notice when it is wrong? Each mutant is a copy of the engine and its tests with one text
 * replaced, run by a jest of its own; some test must fail. Takes one to three minutes:
 *
 *     MUTANTS=1 npm test -- test/unit/core/mutants
 *
 * Without MUTANTS only that every mutation still applies is looked at.
 */
interface Mutation {
  /** What is broken. */
  name: string;
  /** In lib/core. */
  file: string;
  /** Occurs once. */
  from: string;
  to: string;
}

const MUTATIONS: Mutation[] = [
  {
    name: 'the last in the queue is served first (4.3)',
    file: 'granting.ts',
    from: 'const waiter = res.queue.head;',
    to: 'const waiter = [...res.queue].at(-1)!;',
  },
  {
    name: 'a newcomer takes the slot that an eviction freed, past the queue (4.3)',
    file: 'granting.ts',
    from: "this.takeAway(hold, now, 'expiry');\n    this.serve(res, now);",
    to: "this.takeAway(hold, now, 'expiry');",
  },
  {
    name: 'an acquire does not evict lapsed holders (4.2, step 2)',
    file: 'engine.ts',
    from: 'if (res.holders.hasLapsed) this.evictLapsed(res, now);',
    to: '',
  },
  {
    name: 'a try on a full queue times out (4.2, step 4 before 5)',
    file: 'engine.ts',
    from: '} else if (this.isQueueFull(res)) {\n      this.refuse(session, op, MAX_WAITERS);\n    } else if (cmd.waitMs <= 0) {\n      session.sink.reply(op, TIMEOUT);',
    to: '} else if (cmd.waitMs <= 0) {\n      session.sink.reply(op, TIMEOUT);\n    } else if (this.isQueueFull(res)) {\n      this.refuse(session, op, MAX_WAITERS);',
  },
  {
    name: 'only one head is served when several slots become free (4.3)',
    file: 'granting.ts',
    from: 'while (!this.draining && res.queue.head && hasFreeSlot(res)) {',
    to: 'for (let n = 0; n < 1 && !this.draining && res.queue.head && hasFreeSlot(res); n++) {',
  },
  {
    name: 'max-waiters lets one too many in (4.7)',
    file: 'granting.ts',
    from: 'res.queue.size >= maxWaiters',
    to: 'res.queue.size > maxWaiters',
  },
  {
    name: 'who waited gets the default lease (4.4)',
    file: 'granting.ts',
    from: 'this.unqueue(waiter);\n      const hold = this.grant(res, session, leaseMs, now, waiter);',
    to: 'this.unqueue(waiter);\n      const hold = this.grant(res, session, this.options.defaultLeaseMs, now, waiter);',
  },
  {
    name: 'a renewal adds to the lease in place of setting it (4.4)',
    file: 'engine.ts',
    from: 'this.extend(hold, now + leaseMs);',
    to: 'this.extend(hold, hold.due + leaseMs);',
  },
  {
    name: 'a lapsed lease can be renewed until the sweep (4.4)',
    file: 'engine.ts',
    from: 'if (!hold || hold.lapsed) {',
    to: 'if (!hold) {',
  },
  {
    name: 'a late renewal does not hand the slot on (4.4)',
    file: 'engine.ts',
    from: "if (hold) this.free(hold, now, 'expiry');",
    to: '',
  },
  {
    name: 'a lapsed hold cannot be released (4.4)',
    file: 'engine.ts',
    from: 'if (!hold) return session.sink.reply(op, ERROR);',
    to: 'if (!hold || hold.lapsed) return session.sink.reply(op, ERROR);',
  },
  {
    name: 'w does not start the lease again (4.5)',
    file: 'engine.ts',
    from: 'this.extend(hold, now + ticket.leaseMs);',
    to: '',
  },
  {
    name: 'w returns a lapsed grant (4.5)',
    file: 'engine.ts',
    from: 'if (hold.lapsed) {',
    to: 'if (hold.lapsed && cmd.waitMs < 0) {',
  },
  {
    name: 'w leaves the two-phase state behind (4.5)',
    file: 'engine.ts',
    from: 'this.consume(session, hold);\n      this.extend',
    to: 'this.extend',
  },
  {
    name: 'a release leaves the two-phase state behind (4.5)',
    file: 'granting.ts',
    from: 'if (hold.ticket) this.consume(session, hold);',
    to: '',
  },
  {
    name: 'a waiting w keeps its state after the grant (4.5)',
    file: 'granting.ts',
    from: 'if (ticket) session.tickets.delete(res);',
    to: '',
  },
  {
    name: 'a timed-out w keeps its state (4.5)',
    file: 'granting.ts',
    from: 'if (waiter.ticket) waiter.session.tickets.delete(waiter.res);',
    to: '',
  },
  {
    name: 'a cancelled operation is granted later (cancel against grant)',
    file: 'engine.ts',
    from: "if (!waiter) return false;\n    this.leaveQueue(waiter, now, 'cancel');",
    to: 'if (!waiter) return false;\n    session.waiting.delete(op);',
  },
  {
    name: 'a session that ends stays in the queues (4.6)',
    file: 'disconnect.ts',
    from: "for (const waiter of [...session.waiting.values()]) this.leaveQueue(waiter, now, 'disconnect');",
    to: '',
  },
  {
    name: 'a session that ends leaves its enqueued places (4.6)',
    file: 'disconnect.ts',
    from: "if (waiter) this.leaveQueue(waiter, now, 'disconnect');\n      else",
    to: 'if (waiter) session.tickets.delete(waiter.res);\n      else',
  },
  {
    name: 'of a session that ends, what is not freed at once stays (4.6)',
    file: 'engine.ts',
    from: 'if (this.leaving.size > 0) return -Infinity;',
    to: '',
  },
  {
    name: 'a place of a session that is going is granted (4.6)',
    file: 'granting.ts',
    from: 'if (session.closed) {',
    to: 'if (session.closed && session.id < 0) {',
  },
  {
    name: 'everything that has lapsed is swept in one go',
    file: 'lease-expiry.ts',
    from: 'let left = batchSize(this.lapsed.size);',
    to: 'let left = Infinity;',
  },
  {
    name: 'all idle keys are forgotten in one go',
    file: 'resource-table.ts',
    from: 'batchSize(this.idle.size)',
    to: 'Infinity',
  },
  {
    name: 'what is left over waits for the next deadline',
    file: 'driver.ts',
    from: 'if (wake <= this.judged) this.goOn();',
    to: '',
  },
  {
    name: 'auto-release cannot be switched off (4.6)',
    file: 'disconnect.ts',
    from: 'if (!releaseHeld) return taken;',
    to: '',
  },
  {
    name: 'leases are judged by the clock, not by what the host has read (stall guard)',
    file: 'engine.ts',
    from: 'this.leases.notice(inputSeen);',
    to: 'this.leases.notice(now);',
  },
  {
    name: 'timeouts come before the grants of the same moment (4.3)',
    file: 'engine.ts',
    from: `    for (const res of this.leases.takeSwept(inputSeen)) this.evictLapsed(res, now);
    const timeouts = batchSize(this.waits.size, MIN_TIMEOUTS);
    for (let n = 0; n < timeouts && this.waits.firstDue <= inputSeen; n++) {
      const waiter = this.waits.first!;
      const op = waiter.op!;
      this.leaveQueue(waiter, now, 'timeout');
      waiter.session.sink.reply(op, TIMEOUT);
    }
`,
    to: `    const timeouts = batchSize(this.waits.size, MIN_TIMEOUTS);
    for (let n = 0; n < timeouts && this.waits.firstDue <= inputSeen; n++) {
      const waiter = this.waits.first!;
      const op = waiter.op!;
      this.leaveQueue(waiter, now, 'timeout');
      waiter.session.sink.reply(op, TIMEOUT);
    }
    for (const res of this.leases.takeSwept(inputSeen)) this.evictLapsed(res, now);
`,
  },
  {
    name: 'nextWake forgets the collection of idle keys (4.7)',
    file: 'engine.ts',
    from: 'Math.min(this.waits.firstDue, this.leases.nextWake, this.table.nextCollection)',
    to: 'Math.min(this.waits.firstDue, this.leases.nextWake)',
  },
  {
    name: 'an engine that drains still grants (7)',
    file: 'granting.ts',
    from: 'while (!this.draining && res.queue.head',
    to: 'while (res.queue.head',
  },
  {
    name: 'sweeps tick from zero, not from the start (4.4)',
    file: 'lease-expiry.ts',
    from: 'return this.start + Math.ceil((time - this.start) / this.sweepIntervalMs) * this.sweepIntervalMs;',
    to: 'return Math.ceil(time / this.sweepIntervalMs) * this.sweepIntervalMs;',
  },
  {
    name: 'nextWake forgets the sweep (4.4)',
    file: 'lease-expiry.ts',
    from: 'return this.lapsed.size > 0 && this.sweepAt < firstDue ? this.sweepAt : firstDue;',
    to: 'return firstDue;',
  },
  {
    name: 'a lease is over only after its end (4.4: now ≥ deadline)',
    file: 'lease-expiry.ts',
    from: 'left > 0 && this.running.firstDue <= seen;',
    to: 'left > 0 && this.running.firstDue < seen;',
  },
  {
    name: 'a renewal that shortens a lease does not move its place in the lease book (4.4)',
    file: 'lease-expiry.ts',
    from: 'else if (res.slot < 0 || res.due !== due) this.running.set(res, due);',
    to: 'else if (res.slot < 0 || res.due < due) this.running.set(res, due);',
  },
  {
    name: 'all holders of a semaphore lapse with the first (4.4)',
    file: 'holders.ts',
    from: 'lapsed < most && this.leases.firstDue <= seen;',
    to: 'lapsed < most && this.leases.size > 0;',
  },
  {
    name: 'a lock has no token of its own: any will do (4.1)',
    file: 'holders.ts',
    from: 'return this.hold?.token === token ? this.hold : undefined;',
    to: 'return this.hold;',
  },
  {
    name: 'locks and semaphores share a namespace (4.1)',
    file: 'resource-table.ts',
    from: '{ lock: new KeyMap(), sem: new KeyMap() };',
    to: '(() => {\n    const all = new KeyMap<Resource>();\n    return { lock: all, sem: all };\n  })();',
  },
  {
    name: 'a key keeps no limit (4.1)',
    file: 'resource-table.ts',
    from: "return known.limit === limit ? known : 'limit_mismatch';",
    to: 'return known;',
  },
  {
    name: 'idle keys do not count for max-locks (4.7)',
    file: 'resource-table.ts',
    from: 'if (this.size >= this.options.maxLocks)',
    to: 'if (this.size - this.idle.size >= this.options.maxLocks)',
  },
  {
    name: 'keys are forgotten when idle for as long as they may (4.7: longer)',
    file: 'resource-table.ts',
    from: 'const tick = Math.floor((oldest.idleSince! + gcMaxIdleMs - this.start) / gcIntervalMs) + 1;',
    to: 'const tick = Math.ceil((oldest.idleSince! + gcMaxIdleMs - this.start) / gcIntervalMs);',
  },
  {
    name: 'a fence does not carry into its upper half (10)',
    file: 'tokens.ts',
    from: 'if (this.low === 0) this.high++;',
    to: '',
  },
  {
    name: 'who cannot be granted for want of a fence is not told (10.1)',
    file: 'granting.ts',
    from: 'if (op !== undefined) session.sink.reply(op, NO_FENCE);',
    to: '',
  },
  {
    name: 'a place that is given up for want of a fence keeps its state (10.1)',
    file: 'granting.ts',
    from: 'if (waiter.ticket) session.tickets.delete(res);',
    to: '',
  },
  {
    name: 'a key that was refused for want of a fence is never forgotten (4.7, 10.1)',
    file: 'engine.ts',
    from: 'this.table.settle(res, now);\n    session.sink.reply(op, NO_FENCE);',
    to: 'session.sink.reply(op, NO_FENCE);',
  },
  {
    name: 'a range of fences has one more than the source has given (10.1)',
    file: 'tokens.ts',
    from: 'this.left = range.count;',
    to: 'this.left = range.count + 1;',
  },
  {
    name: 'a listener hears a signal once for each of its patterns (6.3)',
    file: 'signal-hub.ts',
    from: 'if (served?.has(session)) {',
    to: 'if (false as boolean) {',
  },
  {
    name: 'a full member of a group is evicted though another can take the signal (6.4)',
    file: 'signal-hub.ts',
    from: 'channel, payload)) copies++;\n      else this.evict(group',
    to: 'channel, payload)) copies++;\n      this.evict(group',
  },
  {
    name: 'a semaphore is swept in one go, however many hold it',
    file: 'granting.ts',
    from: 'const LAPSED_AT_ONCE = 512;',
    to: 'const LAPSED_AT_ONCE = Infinity;',
  },
  {
    name: 'a key that is taken again while stats are made is told twice',
    file: 'resource-table.ts',
    from: 'yield res.born < walk ? res : undefined;',
    to: 'yield res;',
  },
  {
    name: 'stats are made in one go',
    file: 'stats-json.ts',
    from: 'if (this.written >= end ||',
    to: 'if (false && this.written >= end ||',
  },
  {
    name: 'who begins to listen during a delivery is served as well',
    file: 'signal-hub.ts',
    from: 'if (since >= moment) break;\n      if',
    to: 'if',
  },
  {
    name: 'a delivery is not suspended',
    file: 'signal-hub.ts',
    from: 'if (this.allowance <= 0) yield;\n      if (served',
    to: 'if (served',
  },
  {
    name: 'who has a signal already is passed at no cost',
    file: 'signal-hub.ts',
    from: 'this.allowance -= WEIGHT.skip;',
    to: '',
  },
  {
    name: 'a connection may listen to as many patterns as it likes',
    file: 'signal-hub.ts',
    from: 'maxSubscriptions || DEFAULT_MAX_SUBSCRIPTIONS',
    to: 'maxSubscriptions || Infinity',
  },
  {
    name: 'the driver judges before the host has polled again (stall guard)',
    file: 'driver.ts',
    from: 'this.engine.advance(this.clock.now(), this.judged);',
    to: 'this.engine.advance(this.clock.now(), this.clock.now());',
  },
  {
    name: 'the driver judges before the hosts have executed what they have read',
    file: 'driver.ts',
    from: 'if (left === 0) this.heard = seen;',
    to: 'this.heard = seen;',
  },
  {
    name: 'a lease that is over is observed as a release',
    file: 'granting.ts',
    from: "this.takeAway(hold, now, 'expiry');",
    to: "this.takeAway(hold, now, 'release');",
  },
  {
    name: 'a wait is observed as if it had been none',
    file: 'granting.ts',
    from: 'waiter ? now - waiter.since : 0',
    to: '0',
  },
  {
    name: 'a place that is left is not observed',
    file: 'granting.ts',
    from: 'this.table.settle(waiter.res, now);\n    if (this.observer) this.tellLeft(',
    to: 'this.table.settle(waiter.res, now);\n    if (this.observer && waiter.ticket) this.tellLeft(',
  },
];

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../../..');
const sourceOf = (file: string): string => readFileSync(join(root, 'lib/core', file), 'utf8');

/** Specs that take a second or more: run where the others notice nothing. */
const SLOW = ['engine.portions', 'signal-portions', 'signal-hub-cost', 'stats-json'].map((name) => `${name}.spec.ts`);
/** Specs of which no test has to notice anything: random histories, which are asked for by themselves. */
const NOT_ASKED = ['mutants.spec.ts', 'engine.property.spec.ts'];
const SPECS = readdirSync(here).filter((name) => name.endsWith('.spec.ts') && !NOT_ASKED.includes(name));

/** Tests of a spec file, or of several in one. */
interface Outcome {
  tests: number;
  failed: string[];
}

/** The engine, its tests and what they use, in a folder of their own. */
function copyTo(folder: string): void {
  for (const part of ['lib/common', 'lib/protocol', 'lib/core', 'test/support', 'test/unit/core']) {
    cpSync(join(root, part), join(folder, part), { recursive: true });
  }
}

/** What each spec reaches can make it fail; the quick ones come first. */
function specsThatReach(graph: ModuleGraph, file: string): string[][] {
  const specs = SPECS.filter((name) =>
    reached(graph, `test/unit/core/${name.replace(/\.ts$/, '')}`).files.has(`lib/core/${file.replace(/\.ts$/, '')}`),
  );
  return [specs.filter((name) => !SLOW.includes(name)), specs.filter((name) => SLOW.includes(name))];
}

/** In this one process: what does not end can then be stopped as a whole. */
const JEST = [
  ...['--experimental-vm-modules', '--no-warnings', join(root, 'node_modules/jest/bin/jest.js')],
  ...['--runInBand', '--json', '--outputFile', 'report.json'],
];
const LONGEST_MS = 60_000;

interface JestReport {
  testResults: { name: string; assertionResults: { status: string; fullName: string }[] }[];
}

/** Runs spec files in a folder; returns the outcome of each, or undefined if they do not end. */
async function run(folder: string, specs: readonly string[]): Promise<Map<string, Outcome> | undefined> {
  const config = {
    // The same for all folders, so that only what differs between them is transformed anew.
    ...{ id: 'mutants', cacheDirectory: join(dirname(folder), 'cache') },
    ...{ rootDir: folder, roots: ['<rootDir>/test/unit/core'], testMatch: specs.map((name) => `**/${name}`) },
  };
  const usual = pathToFileURL(join(root, 'jest.config.mjs')).href;
  writeFileSync(
    join(folder, 'jest.config.mjs'),
    `import config from ${JSON.stringify(usual)};\nexport default { ...config, ...${JSON.stringify(config)} };\n`,
  );
  const env = { ...process.env, PROPERTY_RUNS: '100', PROPERTY_SEED: '1', PROPERTY_SHRINK: 'off' };
  const child = spawn(process.execPath, JEST, { cwd: folder, stdio: 'ignore', env });
  const timer = setTimeout(() => child.kill('SIGKILL'), LONGEST_MS);
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  clearTimeout(timer);
  if (signal) return undefined;
  const { testResults } = JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8')) as JestReport;
  return new Map(
    testResults.map(({ name, assertionResults }) => {
      const failed = assertionResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName);
      return [basename(name), { tests: assertionResults.length, failed }];
    }),
  );
}

/** The quick specs stand in one file, which takes less time to load. */
async function runTogether(folder: string, specs: readonly string[]): Promise<Outcome | undefined> {
  const imports = specs.map((name) => `import './${name.replace(/\.ts$/, '.js')}';\n`);
  writeFileSync(join(folder, 'test/unit/core/together.spec.ts'), imports.join(''));
  const outcomes = await run(folder, ['together.spec.ts']);
  return outcomes?.get('together.spec.ts');
}

interface All {
  original: Map<string, Outcome> | undefined;
  /** For each mutant the specs that were run last, and what they said. */
  mutants: Map<string, { specs: readonly string[]; outcome: Outcome | undefined }>;
}

async function runAll(mutations: readonly Mutation[]): Promise<All> {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'mutants-')));
  try {
    const folder = join(base, 'original');
    copyTo(folder);
    const graph = readModuleGraph(folder);
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    const original = await run(folder, SPECS);
    const mutants: All['mutants'] = new Map();
    const waiting = mutations.entries();
    const worker = async (): Promise<void> => {
      for (const [i, { name, file, from, to }] of waiting) {
        const folder = join(base, `${i}`);
        copyTo(folder);
        symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
        // A function, so that no `$` in the text has a meaning.
        writeFileSync(
          join(folder, 'lib/core', file),
          sourceOf(file).replace(from, () => to),
        );
        for (const specs of specsThatReach(graph, file).filter(({ length }) => length > 0)) {
          const outcome = await runTogether(folder, specs);
          mutants.set(name, { specs, outcome });
          if (outcome?.failed.length !== 0) break;
        }
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() }, worker));
    return { original, mutants };
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

describe('mutations of the engine', () => {
  it.each(MUTATIONS)('apply: $name', ({ file, from, to }) => {
    expect(sourceOf(file).split(from)).toHaveLength(2);
    expect(to).not.toBe(from);
  });

  (process.env['MUTANTS'] ? describe : describe.skip)('are noticed', () => {
    let all: All;
    beforeAll(async () => {
      all = await runAll(MUTATIONS);
    }, MUTATIONS.length * LONGEST_MS);

    it('the original passes', () => {
      expect([...all.original!.keys()].sort()).toEqual([...SPECS].sort());
      for (const { tests, failed } of all.original!.values()) {
        expect(failed).toEqual([]);
        expect(tests).toBeGreaterThan(0);
      }
    });

    it.each(MUTATIONS)('$name', ({ name }) => {
      const { specs, outcome } = all.mutants.get(name)!;
      if (!outcome) return void process.stdout.write(`${name}: does not end\n`);
      // All tests ran: it was a test that failed, not the mutant that could not be read.
      expect(outcome.tests).toBe(specs.reduce((sum, spec) => sum + all.original!.get(spec)!.tests, 0));
      process.stdout.write(`${name}: ${outcome.failed.length} tests\n`);
      expect(outcome.failed.length).toBeGreaterThan(0);
    });
  });
});
