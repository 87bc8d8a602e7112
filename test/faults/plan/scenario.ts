import type { Cut, Direction, Door } from '../../support/proxy.js';
import { Random } from './random.js';

/** How the clients of a worker are made, and what its callers draw from. */
export interface WorkerPlan {
  readonly seed: number;
  readonly clients: number;
  readonly callersPerClient: number;
  readonly readTimeoutS: number;
  readonly commandLanes: number;
  readonly waitersPerKey: number;
  readonly maxWaitLanes: number;
  readonly leasesS: readonly number[];
  readonly waitsS: readonly number[];
  readonly locks: number;
  /** Limits of the semaphores s0, s1, … */
  readonly limits: readonly number[];
  /** Its wall clock can be stepped. */
  readonly steppedClock: boolean;
  /** Where its locks live. Default: dflockd. */
  readonly backend?: 'redis' | 'postgres';
  /** How many of the keys many want. Default 8 */
  readonly hotKeys?: number;
  /** How often one of these is wanted. Default 0.08 */
  readonly hotShare?: number;
}

/** The read timeout on Postgres, where 2 s are the least. */
export const sessionTimeoutMs = ({ readTimeoutS }: Pick<WorkerPlan, 'readTimeoutS'>): number =>
  Math.max(2000, readTimeoutS * 1000);

export type ProxyFault =
  | { readonly do: 'reset' }
  | { readonly do: 'halfClose'; readonly direction: Direction }
  | { readonly do: 'hole' | 'hold'; readonly directions: readonly Direction[]; readonly forMs: number }
  | {
      readonly do: 'delay' | 'jitter' | 'throttle' | 'split';
      readonly amount: number;
      readonly directions: readonly Direction[];
      readonly forMs: number;
    }
  | {
      readonly do: 'truncate';
      readonly after: number;
      readonly how: Cut;
      readonly direction: Direction;
      readonly forMs: number;
    }
  | { readonly do: 'door'; readonly door: Exclude<Door, 'open'>; readonly forMs: number };

export type ProcessFault =
  | { readonly do: 'stop'; readonly whom: 'worker' | 'daemon' | 'proxy'; readonly forMs: number }
  | { readonly do: 'kill'; readonly whom: 'worker' | 'daemon' | 'proxy' }
  | { readonly do: 'drain' }
  | { readonly do: 'block'; readonly forMs: number }
  | { readonly do: 'stepClock'; readonly byS: number };

/** `target`: a client for a ProxyFault, a worker otherwise; both counted over the whole round. */
export type Fault = { readonly at: number; readonly target: number } & (ProxyFault | ProcessFault);

/** A round: who works, under which limits, and what befalls them when. All of it follows from the seed. */
export interface Scenario {
  readonly seed: number;
  readonly durationMs: number;
  readonly daemon: Readonly<Record<string, number>>;
  readonly workers: readonly WorkerPlan[];
  readonly faults: readonly Fault[];
}

const ONE_WAY: readonly (readonly Direction[])[] = [['up'], ['down'], ['up', 'down']];

/** Kinds of faults, as often as they are to be drawn. Those that cost the whole daemon its state are rarer. */
const KINDS = [
  ...['reset', 'reset', 'halfClose', 'halfClose', 'hole', 'hole', 'hole', 'hold', 'delay', 'jitter', 'throttle', 'split'],
  ...['truncate', 'truncate', 'refuse', 'close', 'stopWorker', 'stopWorker', 'stopDaemon', 'stopProxy', 'killWorker'],
  ...['killProxy', 'block', 'block', 'stepClock', 'resetAll', 'killDaemon', 'drain'],
] as const; // prettier-ignore
export type FaultKind = (typeof KINDS)[number];
export const FAULT_KINDS: readonly FaultKind[] = [...new Set(KINDS)];

/** How often faults come. */
const GAP_MS = { least: 80, most: 700 };

export function drawScenario(seed: number, durationMs: number): Scenario {
  const random = new Random(seed);
  const readTimeoutS = random.pick([1, 2, 2, 4]);
  const limits = [random.int(2, 3), random.int(2, 5), 8];
  const locks = random.pick([60, 300, 1000]);
  const workers = Array.from({ length: 3 }, (_, i) =>
    drawWorker(random.fork(), { readTimeoutS, limits, locks }, i === 0),
  );
  const clients = workers.reduce((sum, worker) => sum + worker.clients, 0);
  return {
    seed,
    durationMs,
    daemon: {
      readTimeout: readTimeoutS,
      leaseSweepInterval: random.pick([0.25, 1]),
      maxLocks: random.chance(0.1) ? Math.ceil(locks / 2) : 10_000,
      // 0: none.
      maxWaiters: random.chance(0.2) ? random.int(2, 6) : 0,
      maxConnections: random.chance(0.15) ? random.int(30, 80) : 0,
      shutdownTimeout: 1,
    },
    workers,
    faults: drawFaults(random.fork(), durationMs, clients, workers.length),
  };
}

function drawWorker(
  random: Random,
  shared: Pick<WorkerPlan, 'readTimeoutS' | 'limits' | 'locks'>,
  steppedClock: boolean,
): WorkerPlan {
  const scarce = random.chance(0.2);
  return {
    ...shared,
    seed: random.int(0, 2 ** 31),
    clients: random.int(2, 3),
    callersPerClient: random.pick([20, 40, 80]),
    commandLanes: random.int(1, 3),
    waitersPerKey: random.pick([1, 2, 8]),
    maxWaitLanes: scarce ? random.int(1, 4) : 256,
    leasesS: random.pick([[1], [1, 2], [2, 3, 30]]),
    waitsS: random.pick([
      [0.2, 1],
      [0.5, 3],
    ]),
    steppedClock,
  };
}

/**
 * A client suffers one fault of the network at a time. A daemon that goes, with all it knows, goes alone: where a holder
 * cannot be told, nothing can protect it from what the next daemon grants (docs/reliability.md).
 */
function drawFaults(random: Random, durationMs: number, clients: number, workers: number): Fault[] {
  const faults: Fault[] = [];
  const busyUntil = new Array<number>(clients).fill(0);
  let latest = 0;
  for (let at = random.int(200, 400); at < durationMs; at += random.int(GAP_MS.least, GAP_MS.most)) {
    const kind = random.pick(KINDS);
    const fault = drawFault(random, kind, random.int(0, clients - 1), random.int(0, workers - 1));
    if (kind === 'killDaemon' || kind === 'drain') at = Math.max(at, latest + 100);
    const { target } = fault;
    if (isOfClient(fault) && target >= 0) {
      if (busyUntil[target]! > at) continue;
      busyUntil[target] = endOf({ at, ...fault });
    }
    if (at >= durationMs) break;
    latest = Math.max(latest, endOf({ at, ...fault }));
    faults.push({ at, ...fault });
  }
  return faults;
}

const CLIENT_FAULTS: ReadonlySet<string> = new Set<ProxyFault['do']>([
  ...(['reset', 'halfClose', 'hole', 'hold', 'delay', 'jitter', 'throttle', 'split', 'truncate', 'door'] as const),
]);

/** Whether a fault is done to the network of a client. */
export const isOfClient = (fault: ProxyFault | ProcessFault): boolean => CLIENT_FAULTS.has(fault.do);

/** How long it takes a daemon to go, and the next one to come. */
const CHANGE_MS = { drain: 1500, kill: 500 } as const;

const endOf = (fault: Fault): number =>
  fault.at + ('forMs' in fault ? fault.forMs : fault.do === 'drain' || fault.do === 'kill' ? CHANGE_MS[fault.do] : 0);

type Targeted = { readonly target: number } & (ProxyFault | ProcessFault);

function drawFault(random: Random, kind: FaultKind, client: number, worker: number): Targeted {
  const directions = random.pick(ONE_WAY);
  const forMs = random.pick([30, 60, 150, 150, 400, 400, 1200, 2600]);
  switch (kind) {
    case 'reset':
      return { do: 'reset', target: client };
    case 'resetAll':
      return { do: 'reset', target: -1 };
    case 'halfClose':
      return { do: 'halfClose', direction: random.pick(['up', 'down']), target: client };
    case 'hole':
    case 'hold':
      return { do: kind, directions, forMs, target: client };
    case 'delay':
      return { do: kind, amount: random.int(1, 200), directions, forMs, target: client };
    case 'jitter':
      return { do: kind, amount: random.int(1, 100), directions, forMs, target: client };
    case 'throttle':
      return { do: kind, amount: random.pick([2_000, 10_000, 100_000]), directions, forMs, target: client };
    case 'split':
      return { do: kind, amount: random.int(1, 7), directions, forMs, target: client };
    case 'truncate': {
      const how = random.pick<Cut>(['reset', 'end', 'hole']);
      return {
        do: kind,
        after: random.int(0, 400),
        how,
        direction: random.pick(['up', 'down']),
        forMs,
        target: client,
      };
    }
    case 'refuse':
    case 'close':
      return { do: 'door', door: kind, forMs: Math.min(forMs, 400), target: client };
    case 'stopWorker':
      return { do: 'stop', whom: 'worker', forMs, target: worker };
    case 'stopDaemon':
      return { do: 'stop', whom: 'daemon', forMs, target: worker };
    case 'stopProxy':
      return { do: 'stop', whom: 'proxy', forMs, target: worker };
    case 'killWorker':
      return { do: 'kill', whom: 'worker', target: worker };
    case 'killProxy':
      return { do: 'kill', whom: 'proxy', target: worker };
    case 'killDaemon':
      return { do: 'kill', whom: 'daemon', target: worker };
    case 'drain':
      return { do: 'drain', target: worker };
    case 'block':
      return { do: 'block', forMs, target: worker };
    case 'stepClock':
      return { do: 'stepClock', byS: random.pick([-86_400, -30, -2, 2, 30, 86_400]), target: 0 };
  }
}
