/**
 * Holds one lock with each of its clients until told to stop, and watches closely what its holders are told. Arguments:
 * options as JSON, the ports of its clients, the path of its log.
 */
import { LockClient, LockLostError, ServerDrainingError, type LockHandle } from '../../../lib/entries/client.js';
import { LogWriter } from '../log/writer.js';
import { fromMillis, nanos } from '../log/time.js';
import { clockOf, type ClockKind } from './clocks.js';
import { Holdings } from './holdings.js';
import { serve } from './serve.js';

export interface HolderOptions {
  /** Locks are called `prefix0`, `prefix1`, … */
  readonly prefix: string;
  readonly leaseS: number;
  readonly waitS: number;
  readonly readTimeoutS: number;
  readonly autoRenew?: boolean;
  readonly clock?: ClockKind;
}

/** What became of a lock's method. */
export type Settled = 'success' | 'lost' | 'refused';

/** What a process saw that had stood still for longer than it could be sure of its locks. */
export interface FirstLook {
  readonly locks: number;
  readonly falselyHeld: number;
  readonly assertPassed: number;
  /** Turns of the event loop until lockLost$ had told of all; -1: it never did. */
  readonly turns: number;
}

const [optionsText, portsText, path] = process.argv.slice(2) as [string, string, string];
const options = JSON.parse(optionsText) as HolderOptions;
const ports = JSON.parse(portsText) as number[];
const log = new LogWriter(path);
const clock = clockOf(options.clock ?? 'system');
/** Looks at all locks come this often; two that are further apart than what is sure at most have a stall between them. */
const LOOK_EVERY_MS = 10;
const SURE_MS = Math.min(options.leaseS, options.readTimeoutS) * 1000;

class Holder {
  readonly client: LockClient;
  private readonly holdings: Holdings;
  lock: LockHandle | undefined;
  settled: Promise<Settled> | undefined;
  private finish!: () => void;
  private readonly finished = new Promise<void>((resolve) => (this.finish = resolve));
  /** The turn of the event loop in which lockLost$ told. */
  toldIn: number | undefined;

  constructor(
    private readonly index: number,
    port: number,
  ) {
    const remote = {
      ...{ fencing: 'token' as const, readTimeoutS: options.readTimeoutS, commandLanes: 1 },
      ...{ connectTimeoutMs: 800, requestTimeoutMs: 500, reconnect: { minDelayMs: 20, maxDelayMs: 200 } },
    };
    const servers = [`127.0.0.1:${port}`];
    this.client = new LockClient(
      { servers, startup: 'connect', shutdownTimeoutS: 0.5, remote },
      { clock: clock.clock },
    );
    this.holdings = new Holdings(this.client, log);
    this.client.lockLost$.subscribe(() => (this.toldIn = turns));
  }

  /** Resolves when it has the lock, or has been refused it. */
  hold(): Promise<void> {
    return new Promise((resolve) => {
      this.settled = this.run(resolve).catch((error: unknown) => {
        resolve();
        if (error instanceof LockLostError) return 'lost';
        if (this.lock) log.add('!', nanos(), `withLock failed: ${String(error)}`);
        log.add('n', nanos(), `${this.index}.1`, String((error as { code?: string }).code));
        return 'refused';
      });
    });
  }

  look(): void {
    if (this.lock) this.holdings.look(this.lock);
  }

  stop(): void {
    this.finish();
  }

  private async run(held: () => void): Promise<Settled> {
    const { prefix, leaseS, waitS, autoRenew = true } = options;
    const key = `${prefix}${this.index}`;
    log.add('i', nanos(), `${this.index}.1`, this.index, key, 1, nanos() + fromMillis(waitS * 1000));
    await this.client.withLock(key, { leaseTtlS: leaseS, acquireTimeoutS: waitS, autoRenew }, async (lock) => {
      this.holdings.granted(`${this.index}.1`, lock);
      this.lock = lock;
      lock.signal.addEventListener('abort', () => {
        if (lock.signal.reason instanceof ServerDrainingError) log.add('a', nanos(), this.index);
      });
      held();
      await this.finished;
      this.look();
      log.add('b', nanos(), this.index);
      if (!this.holdings.isLost(lock)) this.holdings.ends(lock);
    });
    return 'success';
  }
}

const holders = ports.map((port, index) => new Holder(index, port));
await Promise.all(holders.map(({ client }) => client.start()));

/** Of the event loop, since the last stall. */
let turns = 0;
let firstLook: FirstLook | undefined;
let lookedAt = nanos();
setInterval(() => {
  const now = nanos();
  const gap = now - lookedAt;
  lookedAt = now;
  if (gap > fromMillis(SURE_MS)) afterGap();
  else for (const holder of holders) holder.look();
}, LOOK_EVERY_MS);

/** The first look after a stall, and how long until everybody has been told. */
function afterGap(): void {
  const held = holders.filter(({ lock }) => lock);
  let falselyHeld = 0;
  let assertPassed = 0;
  for (const { lock } of held) {
    if (lock!.isHeld) falselyHeld++;
    if (passes(lock!)) assertPassed++;
  }
  const counts = { locks: held.length, falselyHeld, assertPassed };
  firstLook = { ...counts, turns: -1 };
  turns = 0;
  const turn = (): void => {
    turns++;
    const told = held.flatMap(({ toldIn }) => toldIn ?? []);
    if (told.length === held.length) firstLook = { ...counts, turns: Math.max(...told) };
    else if (turns < 1000) setImmediate(turn);
  };
  setImmediate(turn);
}

function passes(lock: LockHandle): boolean {
  try {
    lock.assertHeld();
    return true;
  } catch {
    return false;
  }
}

serve({
  /** Resolves when all locks are held or refused. */
  hold: async () => {
    await Promise.all(holders.map((holder) => holder.hold()));
    return holders.filter(({ lock }) => lock).length;
  },
  holdOne: (index: number) => holders[index]!.hold(),
  /** Asks for all locks, and does not wait for them. */
  want: () => {
    for (const holder of holders) void holder.hold();
  },
  block: (ms: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
  firstLook: () => firstLook,
  /** Does it to the injected clock, looks at once, and says what it saw. */
  jump: async (what: 'suspend' | 'wall', ms: number) => {
    clock.jump(what, ms);
    afterGap();
    await new Promise((resolve) => setTimeout(resolve, 100));
    return firstLook;
  },
  stillHeld: () => holders.filter(({ lock }) => lock?.isHeld).length,
  /** The methods end; says what was reported of each. */
  settle: async () => {
    for (const holder of holders) holder.stop();
    return Promise.all(holders.map(async ({ settled }) => (await settled) ?? 'refused'));
  },
  finish: async () => {
    for (const holder of holders) holder.stop();
    await Promise.all(holders.map(({ client }) => client.close()));
    await Promise.all(holders.map(async ({ settled }) => settled));
    log.add('z', nanos());
    log.flush();
  },
  flush: () => log.flush(),
});
