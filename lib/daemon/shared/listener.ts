import type { ListeningAddress } from './open-port.js';

/**
 * One port of a server, with the connections made to it. The server opens its listeners together; if one cannot be
 * opened, it gives the others up. At a shutdown it calls `stop` of all, drains the engine, calls `drain` of all, waits
 * until all are empty, calling `cutOff` when its patience ends, and calls `close`.
 */
export interface Listener {
  /**
   * Opens the port on every address that the host resolves to, or on none. Called once, unless it rejects.
   * @throws ConfigError if the port is in use on one of them, or an address does not belong to this machine
   */
  open(): Promise<void>;
  /** Another listener of the server could not be opened: closes the port and its connections; `open` may follow. */
  giveUp(): void;
  /** Where it accepts connections; undefined before `open` has resolved and after `stop`. */
  readonly address: ListeningAddress | undefined;
  /** Connections that are not closed yet; the server waits until there are none. */
  readonly openConnections: number;
  /**
   * Closes the port, and admits no more connections. What must end while the engine still grants, so that others get
   * what it held, ends now.
   * @returns a promise only if the port was still being opened
   */
  stop(): Promise<void> | undefined;
  /**
   * The engine has been drained, or will be closed by its owner.
   * @param isEngineDrained false: connections have to be closed, because the engine goes on without this server
   */
  drain(isEngineDrained: boolean): void;
  /** Resolves when no connection is open. */
  whenEmpty(): Promise<void>;
  /** Its time is over: closes all connections. Those whose peers do not read are reset. */
  cutOff(): void;
  /** Called last: leaves no timer behind. */
  close(): void;
}
