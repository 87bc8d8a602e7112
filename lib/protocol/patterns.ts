/** Channels and the patterns that listen to them (spec 6.1). Tokens are separated by dots and may be empty. */

/** `*` only as a whole token, `>` only as a whole last token. */
export function isPattern(pattern: string): boolean {
  if (!/[*>]/.test(pattern)) return true;
  const tokens = pattern.split('.');
  return tokens.every((token, i) => !/[*>]/.test(token) || token === '*' || (token === '>' && i === tokens.length - 1));
}

/** A channel to publish on names no wildcard. */
export const isChannel = (channel: string): boolean => !/[*>]/.test(channel);

/** Whether a valid pattern holds a wildcard. */
export const isWildcard = (pattern: string): boolean => /[*>]/.test(pattern);

/** The tokens of a channel. */
export const tokensOf = (channel: string): string[] => channel.split('.');

/** A predicate for a valid pattern: `*` is exactly one token, `>` one or more. */
export function matcher(pattern: string): (channel: string) => boolean {
  const matches = tokenMatcher(pattern);
  return (channel) => matches(tokensOf(channel));
}

/** The same for the tokens of a channel: who asks many patterns splits it once. */
export function tokenMatcher(pattern: string): (tokens: readonly string[]) => boolean {
  const want = pattern.split('.');
  const open = want.at(-1) === '>';
  if (open) want.pop();
  return (have) => {
    if (open ? have.length <= want.length : have.length !== want.length) return false;
    return want.every((token, i) => token === '*' || token === have[i]);
  };
}
