/** The words of the protocol, shared by both sides. */

export type LockCommand = 'g' | 'r' | 'i' | 'sg' | 'sr' | 'si';

/** What follows the number of a reply, before `: NAME`. */
export const TEXTS: Readonly<Record<LockCommand, { readonly yes: string; readonly no: string }>> = {
  g: { yes: 'Lock Get Success', no: 'Lock Get Failure' },
  r: { yes: 'Lock Release Success', no: 'Lock Release Failure' },
  i: { yes: 'Lock Is Locked', no: 'Lock Not Locked' },
  sg: { yes: 'Shared Lock Get Success', no: 'Shared Lock Get Failure' },
  sr: { yes: 'Shared Lock Release Success', no: 'Shared Lock Release Failure' },
  si: { yes: 'Shared Lock Is Locked', no: 'Shared Lock Not Locked' },
};

/** The reply to a command whose feature is switched off. */
export const DISABLED = '0 disabled';

/** The last line of the reply to `q`, whose lines are sorted, begins with it. */
export const LAST_COUNTER = 'shared_orphans';
