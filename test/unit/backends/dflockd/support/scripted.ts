import type { AcquireRequest, LinkEvent } from '../../../../../lib/backends/backend.js';
import { RemoteBackend } from '../../../../../lib/backends/dflockd/remote.js';
import { systemClock } from '../../../../../lib/common/system.js';
import type { RemoteOptions } from '../../../../../lib/locks/options/options.js';
import { resolveRemote } from '../../../../../lib/backends/dflockd/options.js';
import { FakeEntropy } from '../../../../support/fake-clock.js';
import { FakeServer, obliging, type Peer, type Script } from './fake-server.js';

export const TOKEN = '0123456789abcdef0123456789abcdef';

export const request = (change: Partial<AcquireRequest> = {}): AcquireRequest => ({
  key: 'k',
  kind: 'lock',
  limit: 1,
  leaseMs: 10_000,
  deadline: systemClock.now() + 5000,
  ...change,
});

/** Tries are refused, waits are not answered, everything else is granted. */
export const busy: Script = (r, peer) => {
  if (r.t === 'wait' || r.t === 'enqueue') return r.t === 'enqueue' ? 'queued\n' : undefined;
  if (r.t !== 'acquire') return obliging(r, peer);
  return r.waitMs === 0 ? 'timeout\n' : undefined;
};

/** A backend, the scripted server behind it, and what it was told about links. */
export class Scripted {
  readonly links: LinkEvent[] = [];

  private constructor(
    readonly server: FakeServer,
    readonly backend: RemoteBackend,
  ) {
    backend.onLink((event) => this.links.push(event));
  }

  /** Its places ask for all that is wanted, unless a test says otherwise. */
  static async start(options: RemoteOptions = {}, script: Script = obliging): Promise<Scripted> {
    const server = await FakeServer.start(script);
    const config = resolveRemote([server.endpoint.label], { commandLanes: 1, placeLeaseS: 60, ...options });
    const scripted = new Scripted(server, new RemoteBackend(config, systemClock, new FakeEntropy()));
    await scripted.backend.start();
    return scripted;
  }

  get states(): string[] {
    return this.links.map(({ state }) => state);
  }

  /** Connections with a blocking request for the key, in the order in which they were made. */
  waiting(key = 'k'): Peer[] {
    return this.server.peers.filter((peer) =>
      peer.requests.some((r) => r.t === 'acquire' && r.waitMs > 0 && r.key === key),
    );
  }

  /** All requests of this kind, on whatever connection. */
  said(t: string): Peer['requests'] {
    return this.server.peers.flatMap((peer) => peer.requests).filter((r) => r.t === t);
  }

  async close(): Promise<void> {
    await this.backend.close(20);
    await this.server.close();
  }
}
