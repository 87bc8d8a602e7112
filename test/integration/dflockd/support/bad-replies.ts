import { LockClient } from '../../../../lib/locks/lock-client.js';
import type { LockHandle } from '../../../../lib/locks/handle/lock-handle.js';
import type { Request } from '../../../../lib/protocol/messages.js';
import { FakeServer, obliging, type Peer } from '../../../unit/backends/dflockd/support/fake-server.js';

export const TOKEN = '0123456789abcdef0123456789abcdef';
const GRANT = `ok ${TOKEN} 33\n`;

/** A kind of reply, and what leads to it. */
export interface ReplyKind {
  readonly of: string;
  readonly reply: string;
  /** Whether it is this request that gets the reply. */
  is(request: Request): boolean;
  /** What other requests get that come before it, where that is not what everybody gets. */
  before?(request: Request): string | undefined;
  /** Makes the client say it. `lock` is held, and so is another one, both got over the command lane. */
  ask(client: LockClient, lock: LockHandle): Promise<unknown>;
  /** Whether it comes over the command lane, whose end costs all locks there. */
  readonly shared: boolean;
  /** What the caller gets when the connection ends before the reply is there; otherwise a LockError. */
  readonly whenCut?: unknown;
}

/** Seconds. */
export const DEADLINE_S = 0.3;
/** Of a ticket: at its end there is no error. Seconds. */
const TICKET_S = 1.5;
const WAIT = { acquireTimeoutS: DEADLINE_S };

const isTarget = (r: Request): boolean => 'key' in r && r.key === 'target';
const isTry = (r: Request): boolean => r.t === 'acquire' && r.waitMs === 0 && isTarget(r);
const isWait = (r: Request): boolean => r.t === 'acquire' && r.waitMs > 0 && isTarget(r);
const waitForTicket = (client: LockClient): Promise<unknown> => client.enqueue('target').wait(TICKET_S);

const tried = (of: string, reply: string): ReplyKind => ({
  of,
  reply,
  is: isTry,
  ask: (client) => client.tryAcquire('target'),
  shared: true,
});

export const REPLY_KINDS: readonly ReplyKind[] = [
  tried('a try that is granted', GRANT),
  tried('a try that is refused', 'timeout\n'),
  tried('a try that is an error', 'error_max_locks\n'),
  { of: 'an acquire', reply: GRANT, is: isTry, ask: (client) => client.acquire('target', WAIT), shared: true },
  {
    of: 'an acquire that waits',
    reply: GRANT,
    is: isWait,
    before: (r) => (isTry(r) ? 'timeout\n' : undefined),
    ask: (client) => client.acquire('target', WAIT),
    shared: false,
  },
  {
    of: 'a wait that is over',
    reply: 'timeout\n',
    is: isWait,
    before: (r) => (isTry(r) ? 'timeout\n' : undefined),
    ask: (client) => client.acquire('target', WAIT),
    shared: false,
  },
  { of: 'an enqueue', reply: 'queued\n', is: (r) => r.t === 'enqueue', ask: waitForTicket, shared: false },
  {
    of: 'an enqueue that is granted',
    reply: `acquired ${TOKEN} 33\n`,
    is: (r) => r.t === 'enqueue',
    ask: waitForTicket,
    shared: false,
  },
  {
    of: 'the wait behind an enqueue',
    reply: GRANT,
    is: (r) => r.t === 'wait',
    before: (r) => (r.t === 'enqueue' ? 'queued\n' : undefined),
    ask: waitForTicket,
    shared: false,
  },
  { of: 'a renewal', reply: 'ok 33\n', is: (r) => r.t === 'renew', ask: (_, lock) => lock.renew(), shared: true },
  {
    of: 'a release',
    reply: 'ok\n',
    is: (r) => r.t === 'release',
    ask: (_, lock) => lock.release(),
    shared: true,
    // The end of the connection has released it.
    whenCut: true,
  },
  {
    of: 'stats',
    reply: 'ok {"connections":1,"locks":[],"semaphores":[],"idle_locks":[],"idle_semaphores":[]}\n',
    is: (r) => r.t === 'stats',
    ask: (client) => client.stats(),
    shared: false,
  },
  {
    of: 'a ping',
    reply: 'ok\n',
    // Others go over the control lane.
    is: (r) => r.t === 'ping',
    ask: (client) => client.ping(),
    shared: true,
  },
];

/** A server that treats one kind of request as it is told to; a client with two locks there. */
export class BadWorld {
  /** In the order in which they were lost. */
  readonly lost: string[] = [];
  private isBad = false;

  private constructor(
    readonly server: FakeServer,
    readonly client: LockClient,
  ) {
    client.lockLost$.subscribe(({ keys, reason }) => this.lost.push(`${keys.join()} ${reason}`));
  }

  lock!: LockHandle;
  other!: LockHandle;

  /** @param treat what is done instead of the reply */
  static async open(kind: ReplyKind, treat: (peer: Peer) => void): Promise<BadWorld> {
    let isBad = (): boolean => false;
    const server = await FakeServer.start((r, peer) => {
      if (!isBad()) return obliging(r, peer);
      if (!kind.is(r)) return kind.before?.(r) ?? (r.t === 'wait' ? undefined : obliging(r, peer));
      treat(peer);
      return undefined;
    });
    const client = await LockClient.connect({
      servers: [server.endpoint.label],
      remote: { commandLanes: 1, requestTimeoutMs: 200, connectTimeoutMs: 200, reconnect: { minDelayMs: 5 } },
      shutdownTimeoutS: 0.05,
    });
    const world = new BadWorld(server, client);
    isBad = () => world.isBad;
    world.lock = await client.acquire('held');
    world.other = await client.acquire('other');
    return world;
  }

  /** What the caller gets, an error too. */
  ask(kind: ReplyKind): Promise<unknown> {
    this.isBad = true;
    return kind.ask(this.client, this.lock).catch((error: unknown) => error);
  }

  async close(): Promise<void> {
    // The server first: the client would wait for answers.
    await this.server.close();
    await this.client.close();
  }
}
