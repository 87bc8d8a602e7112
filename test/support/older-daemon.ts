import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo, type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { systemClock, systemEntropy } from '../../lib/common/system.js';
import { EngineDriver } from '../../lib/core/driver.js';
import { FencedTokens, fenceSeed } from '../../lib/core/tokens.js';
import type { TokenSource } from '../../lib/core/types.js';
import { engineOptionsOf } from '../../lib/daemon/shared/create-engine.js';
import {
  type DflockdServerOptions,
  resolveServerOptions,
  type ResolvedServerOptions,
} from '../../lib/daemon/shared/options.js';
import { DflockdServer } from '../../lib/daemon/server.js';
import { DuplexEnd } from './duplex-pair.js';
import { DFLOCKD_1_10, type OlderBehaviour } from './older-behaviour.js';
import { OlderConnection } from './older-connection.js';
import { OlderEngine } from './older-engine.js';

const randomTokens: TokenSource = { next: () => randomBytes(16).toString('hex') };

const fencedTokens = (): TokenSource => new FencedTokens(systemEntropy, fenceSeed(systemClock.wall()));

/** A token that no client sends. */
const noToken = (): string => randomBytes(16).toString('hex');

/**
 * A daemon that behaves as older releases do, for tests: today's daemon, with an engine of older rules and a filter before
 * each connection. The recordings in test/conformance say whether it does so rightly. No TLS.
 */
export class OlderDaemon {
  readonly options: ResolvedServerOptions;
  private readonly driver: EngineDriver;
  private readonly inner: DflockdServer;
  private readonly clients = new Set<Duplex>();
  private listener: Server | undefined;
  private closing: Promise<void> | undefined;
  private whenEmpty: (() => void) | undefined;

  /** @param behaviour what it does in the old way; default: all that 1.10 did */
  constructor(
    given: DflockdServerOptions = {},
    private readonly behaviour: OlderBehaviour = DFLOCKD_1_10,
  ) {
    const { authToken } = given;
    const neverMatches = behaviour.untrimmedFlag && authToken !== undefined && authToken !== authToken.trim();
    const effective = neverMatches ? { ...given, authToken: noToken() } : given;
    const options = resolveServerOptions(effective);
    this.options = options;
    const engine = new OlderEngine(
      behaviour,
      engineOptionsOf(options),
      behaviour.randomTokens ? randomTokens : fencedTokens(),
      systemClock.now(),
    );
    this.driver = new EngineDriver(engine, systemClock);
    this.inner = new DflockdServer(effective, { driver: this.driver });
  }

  async listen(): Promise<{ host: string; port: number }> {
    const listener = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.handle(socket, socket.remoteAddress ?? ''),
    );
    this.listener = listener;
    const { host, port } = this.options;
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen({ host, port, backlog: 4096 }, resolve);
    });
    return this.address()!;
  }

  address(): { host: string; port: number } | undefined {
    const address = this.listener?.address() as AddressInfo | null | undefined;
    return address ? { host: address.address, port: address.port } : undefined;
  }

  handle(client: Duplex, peer: string): void {
    const [near, far] = DuplexEnd.pair();
    this.clients.add(client);
    client.on('error', () => {});
    client.once('close', () => {
      this.clients.delete(client);
      if (this.clients.size === 0) this.whenEmpty?.();
    });
    new OlderConnection(client, near, this.behaviour);
    this.inner.handle(far, peer);
  }

  /** As DflockdServer.close, in the way of its version. */
  close(): Promise<void> {
    return (this.closing ??= this.shutDown());
  }

  private async shutDown(): Promise<void> {
    this.listener?.close();
    this.driver.engine.drain(this.driver.clock.now());
    this.driver.touch();
    if (this.clients.size > 0) {
      const empty = new Promise<void>((resolve) => (this.whenEmpty = resolve));
      const { shutdownTimeout } = this.options;
      const timer = shutdownTimeout > 0 ? setTimeout(() => this.cutOff(), shutdownTimeout * 1000) : undefined;
      await empty;
      clearTimeout(timer);
    }
    await this.inner.close();
    this.driver.close();
  }

  private cutOff(): void {
    for (const client of this.clients) client.destroy();
  }
}
