/** The `stats` of a server (spec 5). Keys appear as on the wire, namespace included. */
export interface ServerStats {
  /** `host:port`, or `embedded`. */
  readonly server: string;
  readonly connections: number;
  /** Held locks, locks with waiters but no holder (owner 0), and semaphores with one slot. */
  readonly locks: readonly { key: string; owner_conn_id: number; lease_expires_in_s: number; waiters: number }[];
  readonly semaphores: readonly { key: string; limit: number; holders: number; waiters: number }[];
  readonly idle_locks: readonly { key: string; idle_s: number }[];
  readonly idle_semaphores: readonly { key: string; idle_s: number }[];
  /** dflockd 1.11 to 1.16. */
  readonly signal_channels?: readonly { pattern: string; group?: string | undefined; listeners: number }[] | undefined;
}
