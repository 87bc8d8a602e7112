import type { Alarms } from '../../../common/alarms.js';
import type { Clock, Ms } from '../../../common/system.js';
import type { Commands } from './commands.js';
import type { GrantDelays } from './grant-delays.js';
import type { WaitConnection } from './wait-connection.js';

/** What the sessions to wait on share. */
export interface WaitContext {
  readonly clock: Clock;
  readonly alarms: Alarms;
  readonly commands: Commands;
  readonly sessionTimeoutMs: Ms;
  readonly requestTimeoutMs: Ms;
  readonly counted: { cancels: number; confirms: number };
  readonly delays: GrantDelays;
  /** The server says what it cannot: a pooler is between, or we are wrong. */
  impaired(problem: string, server: string): void;
  waitBegins(connection: WaitConnection): void;
  waitEnds(connection: WaitConnection): void;
  /** It was given back. */
  freed(connection: WaitConnection): void;
  /** It has ended. `mayHold`: the server may not know yet, and keep a lock or a place for it. */
  over(connection: WaitConnection, mayHold: boolean): void;
}
