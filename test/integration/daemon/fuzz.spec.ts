import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { FakeClock, FakeEntropy } from '../../support/fake-clock.js';
import { stopwatch } from '../../support/stopwatch.js';
import { Wire } from '../../support/wire.js';
import { Frames } from './fuzz-frames.js';
import { FuzzModel, type Prediction } from './fuzz-model.js';
import { GRANT, acquire, release, statsOf, tokenOf, useDaemons, type Daemon } from './harness.js';

// FUZZ_FRAMES=1000000 for a long run, FUZZ_SEED for another one.
const FRAMES = Number(process.env['FUZZ_FRAMES'] ?? 30_000);
const SEED = Number(process.env['FUZZ_SEED'] ?? 20261121);

/** One of them is the canary's. */
const MAX_LOCKS = 1024;
/** Nothing expires and nobody is disconnected, unless the test lets time pass. */
const NEVER_S = 1e6;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** One connection that sends frames and holds the answers against the model; renewed when it is closed or blocked. */
class Fuzzer {
  frames = 0;
  connections = 0;
  readonly model = new FuzzModel(BigInt(NEVER_S), MAX_LOCKS - 1);
  private readonly random = new FakeEntropy(SEED);
  private readonly source = new Frames(this.random, () => this.model.held);
  private wire: Wire | undefined;

  constructor(
    private readonly daemon: Daemon,
    private readonly canary: Canary,
  ) {}

  /** Some frames in one go, cut into chunks anywhere; then their answers. */
  async batch(): Promise<void> {
    this.wire ??= await this.connect();
    let bytes = '';
    const predictions: Prediction[] = [];
    let outcome = 'goes on';
    for (let n = this.source.below(60); n >= 0 && outcome === 'goes on'; n--) {
      // Most frames begin where the daemon expects one; otherwise hardly any would make sense to it.
      const inStep = this.random.unit() < 0.9 ? '\n'.repeat(this.model.linesMissing) : '';
      const frame = inStep + this.source.next();
      const fed = this.model.feed(frame);
      this.frames++;
      outcome = fed.outcome;
      bytes += frame.slice(0, fed.used);
      predictions.push(...fed.predictions);
    }
    const pushes = this.model.pushes;
    await this.send(this.wire, bytes);
    await this.check(this.wire, predictions, pushes, bytes);
    if (outcome === 'closes') await this.wire.whenClosed();
    if (outcome !== 'goes on') await this.hangUp();
  }

  /** Ends the connection; afterwards the server has freed what it held. */
  async hangUp(): Promise<void> {
    if (!this.wire) return;
    if (this.random.unit() < 0.5) this.wire.reset();
    else this.wire.destroy();
    this.wire = undefined;
    await this.canary.alone();
    this.model.disconnect();
  }

  private async connect(): Promise<Wire> {
    this.connections++;
    return Wire.tcp(this.daemon.address);
  }

  private async send(wire: Wire, bytes: string): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const chunk = this.source.chunk();
      wire.send(bytes.slice(at, at + chunk));
      at += chunk;
      if (this.random.unit() < 0.1) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  private async check(wire: Wire, predictions: Prediction[], pushes: number, bytes: string): Promise<void> {
    const wanted = predictions.length + pushes;
    await wire.wait(() => wire.has(wanted) || wire.closed, 5000);
    const lines = wire.take(wanted).bytes.split('\n').slice(0, -1);
    const replies = lines.filter((line) => !line.startsWith('sig '));
    const fail = (why: string): never => {
      throw new Error(`${why}, seed ${SEED}, frame ${this.frames}, after ${JSON.stringify(bytes.slice(-3000))}`);
    };
    for (const [i, { line, seen }] of predictions.entries()) {
      const reply = replies[i];
      const right = typeof line === 'string' ? reply === line : reply !== undefined && line.test(reply);
      if (!right) fail(`answer ${i + 1} of ${predictions.length} is ${JSON.stringify(reply)}, not ${line}`);
      seen?.(reply!);
    }
    if (lines.length - replies.length !== pushes) fail(`${lines.length - replies.length} signals, not ${pushes}`);
    if (wire.unread !== '') fail(`more than wanted: ${JSON.stringify(wire.unread)}`);
    this.model.pushes -= pushes;
  }
}

/** Others on the same daemon, who must be served all the while. */
class Canary {
  served = 0;
  slowest = 0;

  constructor(
    private readonly a: Wire,
    private readonly b: Wire,
  ) {}

  /** A lock goes from one to the other. */
  async sing(): Promise<void> {
    const took = stopwatch();
    const token = tokenOf(await this.a.ask(acquire('the-canary')));
    expect(await this.b.ask(acquire('the-canary'))).toBe('timeout');
    this.b.send(acquire('the-canary', 30));
    expect(await this.a.ask(release('the-canary', token))).toBe('ok');
    const passed = (await this.b.read()).slice(0, -1);
    expect(passed).toMatch(GRANT);
    expect(await this.b.ask(release('the-canary', tokenOf(passed)))).toBe('ok');
    this.slowest = Math.max(this.slowest, took());
    this.served++;
  }

  /** Until nobody else is connected. */
  async alone(): Promise<void> {
    while ((await statsOf(this.a))['connections'] !== 2);
    this.a.forget();
    this.b.forget();
  }
}

describe(`${FRAMES} random and mutated frames`, () => {
  const start = useDaemons();

  it(
    'get the documented answers and hurt nobody else',
    async () => {
      const clock = new FakeClock();
      const never = { readTimeout: NEVER_S * 100, writeTimeout: 0, defaultLeaseTtl: NEVER_S };
      const daemon = await start({ ...never, maxLocks: MAX_LOCKS }, { clock });
      const canary = new Canary(await daemon.open(), await daemon.open());
      const fuzzer = new Fuzzer(daemon, canary);
      const heaps: number[] = [];
      for (let batches = 0; fuzzer.frames < FRAMES; batches++) {
        await fuzzer.batch();
        if (batches % 10 === 0) await canary.sing();
        if (batches % 100 === 99) {
          await fuzzer.hangUp();
          clock.advance(70_000);
          fuzzer.model.forget();
          await canary.sing();
          collectGarbage();
          heaps.push(process.memoryUsage().heapUsed / 2 ** 20);
        }
      }
      await fuzzer.hangUp();
      const half = heaps.slice(Math.ceil(heaps.length / 2));
      const grown = Math.min(...half.slice(-5)) - Math.min(...heaps.slice(1, 6));
      console.info(
        `${fuzzer.frames} frames on ${fuzzer.connections} connections; canary served ${canary.served} times, ` +
          `slowest ${canary.slowest.toFixed(1)} ms; heap ${heaps[1]?.toFixed(1)} → ${heaps.at(-1)?.toFixed(1)} MiB`,
      );
      expect(canary.served).toBeGreaterThan(0);
      expect(canary.slowest).toBeLessThan(1000);
      expect(grown).toBeLessThan(8);
    },
    60_000 + FRAMES,
  );
});
