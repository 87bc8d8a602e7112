/**
 * In what older dflockd daemons differ from the 1.16 line (docs/protocol.md 15, first column, and 4). Each is a switch of
 * its own: releases between the two have some of them.
 */
export interface OlderBehaviour {
  /** `ping` is an unknown command (before 1.14). */
  readonly noPing: boolean;
  /** `listen`, `unlisten`, `signal` are unknown commands, and `stats` has no `signal_channels` (before 1.11). */
  readonly noSignals: boolean;
  /** Locks and semaphores share one namespace (before 1.14). */
  readonly oneNamespace: boolean;
  /** A peer that closes while it waits keeps its place until it is granted or its time is over (before 1.15). */
  readonly closeUnnoticed: boolean;
  /** Any number of bytes may wait behind a blocked command (before 1.15). */
  readonly anyTail: boolean;
  /** A queued `enqueue` whose grant lapsed is answered with a token that is not held any more (1.10). */
  readonly staleGrants: boolean;
  /** While the daemon shuts down, connections work on; who would have to wait gets `error` (before 1.16). */
  readonly drainGoesOn: boolean;
  /** The third line of `auth` has the cap of all lines (before 1.15). */
  readonly shortAuth: boolean;
  /** The token of the command line is taken as it is, the one that is sent is trimmed (before 1.15). */
  readonly untrimmedFlag: boolean;
  /** Tokens are random and hold no fence (1.x). */
  readonly randomTokens: boolean;
  /** Without auto-release nothing at all is cleaned when a connection ends (before 1.15). */
  readonly deadStay: boolean;
  /** A release or renewal with a wrong token counts as use of a key (before 1.16.1). */
  readonly wrongTokenIsUse: boolean;
}

export const DFLOCKD_1_10: OlderBehaviour = {
  noPing: true,
  noSignals: true,
  oneNamespace: true,
  closeUnnoticed: true,
  anyTail: true,
  staleGrants: true,
  drainGoesOn: true,
  shortAuth: true,
  untrimmedFlag: true,
  randomTokens: true,
  deadStay: true,
  wrongTokenIsUse: true,
};
