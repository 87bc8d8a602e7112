import type { Ms } from '../../common/system.js';

/** The engine in this process: checked, complete, frozen. */
export interface EmbeddedConfig {
  /** Address of a TCP door for other processes; port 0 takes any. */
  readonly listen: { readonly host: string; readonly port: number; readonly label: string } | undefined;
  readonly authToken: string | undefined;
  readonly maxLocks: number;
  /** 0: unlimited. */
  readonly maxWaiters: number;
  readonly defaultLeaseMs: Ms;
  /** How long a key whose lease is over may wait for a sweep. Default 100 ms. */
  readonly sweepIntervalMs?: Ms | undefined;
}
