import type { Socket } from 'node:net';
import { ConfigError } from '../../common/errors.js';
import { Admission, plainAddress } from '../fairness/admission.js';
import { Connections } from '../shared/connections.js';
import type { Listener } from '../shared/listener.js';
import { ListeningPort } from '../shared/listening-port.js';
import { hostPort, type ListeningAddress } from '../shared/open-port.js';
import { CommandDesk, type LockdFeatures } from './command-desk.js';
import type { LockdHost } from './lockd-host.js';
import { LockdSession } from './lockd-session.js';
import { LockdState } from './lockd-state.js';

export interface LockdListenerOptions extends LockdFeatures {
  readonly host: string;
  readonly port: number;
  /** Most names of shared locks. */
  readonly maxLocks: number;
  /** Of this port; 0 = unlimited. */
  readonly maxConnections: number;
  /** Of this port; 0 = unlimited. */
  readonly maxConnectionsPerIp: number;
}

/** The port of lockd's protocol. Its exclusive locks are those of the engine; its shared locks are its own. */
export class LockdListener implements Listener {
  private readonly state: LockdState;
  private readonly desk: CommandDesk;
  private readonly admission: Admission;
  private readonly connections = new Connections();
  private readonly sessions = new Set<LockdSession>();
  private readonly port: ListeningPort;

  constructor(
    private readonly options: LockdListenerOptions,
    private readonly host: LockdHost,
  ) {
    this.state = new LockdState(host.driver, options.maxLocks);
    this.desk = new CommandDesk(this.state, options);
    this.admission = new Admission(options.maxConnections, options.maxConnectionsPerIp);
    this.port = new ListeningPort(
      (socket) => this.accept(socket),
      (error) => host.log('error', 'accept failed', { err: error.message }),
    );
  }

  get address(): ListeningAddress | undefined {
    return this.port.address;
  }

  get openConnections(): number {
    return this.connections.size;
  }

  async open(): Promise<void> {
    const { host, port } = this.options;
    try {
      await this.port.open(host, port);
    } catch (error) {
      const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
      if (code !== 'EADDRINUSE') throw error;
      throw new ConfigError(`${hostPort(host, port)}, the address for clients of lockd, is already in use`, {
        cause: error,
      });
    }
  }

  giveUp(): void {
    this.port.giveUp();
    this.connections.destroyAll();
  }

  stop(): Promise<void> | undefined {
    return this.port.stop();
  }

  /** Clients that hold something keep it until they release it: nobody can take it any more. */
  drain(isEngineDrained: boolean): void {
    if (!isEngineDrained) return this.connections.destroyAll();
    for (const session of this.sessions) session.drain();
  }

  whenEmpty(): Promise<void> {
    return this.connections.whenEmpty();
  }

  cutOff(): void {
    this.connections.cutOff();
  }

  close(): void {
    this.host.alarms.clear();
  }

  private accept(socket: Socket): void {
    const { log } = this.host;
    const peer = plainAddress(socket.remoteAddress);
    if (socket.destroyed || !this.admits(peer)) return void socket.destroy();
    let session: LockdSession | undefined;
    this.connections.add(socket, () => {
      if (session) this.sessions.delete(session);
      this.admission.leave(peer);
    });
    try {
      session = new LockdSession(socket, this.host, this.state, this.desk, peer);
      this.sessions.add(session);
    } catch (error) {
      log('error', 'a connection failed and was closed', { peer, err: String((error as Error).stack ?? error) });
      socket.destroy();
    }
  }

  private admits(peer: string): boolean {
    if (this.admission.admit(peer)) return true;
    this.host.log('warn', 'connection refused: too many connections', { peer, connections: this.admission.count });
    return false;
  }
}
