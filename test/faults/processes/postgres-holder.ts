/**
 * Holds one lock in Postgres with each of its clients, and watches closely what its holders are told. Arguments: options as
 * JSON, the ports of its clients as JSON.
 */
import { holderAt } from '../postgres/holders.js';
import { Beliefs, block } from './beliefs.js';
import { serve } from './serve.js';

export interface PostgresHolderOptions {
  /** Locks are called `prefix0`, `prefix1`, … */
  readonly prefix: string;
  readonly sessionTimeoutMs: number;
}

const [optionsText, portsText] = process.argv.slice(2) as [string, string];
const { prefix, sessionTimeoutMs } = JSON.parse(optionsText) as PostgresHolderOptions;
const ports = JSON.parse(portsText) as number[];

const holders = await Promise.all(ports.map((port) => holderAt(port, sessionTimeoutMs)));
const beliefs = new Beliefs(holders, prefix);

serve({
  hold: () => beliefs.hold(),
  block,
  account: () => beliefs.account(),
  finish: () => beliefs.close(),
});
