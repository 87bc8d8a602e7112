/** Channels and the patterns that listen to them (spec 6.1). Tokens are separated by dots and may be empty. */

/** `*` only as a whole token, `>` only as a whole last token. */
export function isPattern(pattern: string): boolean {
  if (!/[*>]/.test(pattern)) return true;
  const tokens = pattern.split('.');
  return tokens.every((token, i) => !/[*>]/.test(token) || token === '*' || (token === '>' && i === tokens.length - 1));
}

/** Whether a channel can be published on: it has no wildcard. */
export const isChannel = (channel: string): boolean => !/[*>]/.test(channel);

/** Whether a valid pattern has a wildcard. */
export const isWildcard = (pattern: string): boolean => /[*>]/.test(pattern);

/** The tokens that match more than themselves. */
export const WILDCARDS: ReadonlySet<string> = new Set(['*', '>']);

/** Whether a valid pattern matches a channel; allocates nothing. */
export function matchesChannel(pattern: string, channel: string): boolean {
  for (let p = 0, c = 0; ;) {
    const pEnd = tokenEnd(pattern, p);
    const cEnd = tokenEnd(channel, c);
    const wildcard = pEnd === p + 1 ? pattern[p] : undefined;
    if (wildcard === '>') return true;
    if (wildcard !== '*') {
      if (pEnd - p !== cEnd - c) return false;
      for (let i = 0; p + i < pEnd; i++) if (pattern.charCodeAt(p + i) !== channel.charCodeAt(c + i)) return false;
    }
    if (pEnd === pattern.length || cEnd === channel.length) return pEnd === pattern.length && cEnd === channel.length;
    p = pEnd + 1;
    c = cEnd + 1;
  }
}

/** Where the token that begins at `from` ends. */
function tokenEnd(text: string, from: number): number {
  const dot = text.indexOf('.', from);
  return dot < 0 ? text.length : dot;
}

/** The tokens of a channel. */
export const tokensOf = (channel: string): string[] => channel.split('.');

/** Compiles a valid pattern to a predicate on the tokens of a channel: `*` matches one token, `>` one or more. */
export function tokenMatcher(pattern: string): (tokens: readonly string[]) => boolean {
  const want = pattern.split('.');
  const open = want.at(-1) === '>';
  if (open) want.pop();
  return (have) => {
    if (open ? have.length <= want.length : have.length !== want.length) return false;
    return want.every((token, i) => token === '*' || token === have[i]);
  };
}
