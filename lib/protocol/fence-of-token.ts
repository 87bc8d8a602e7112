const TOKEN = /^[0-9a-f]{32}$/;
const FENCE_DIGITS = 16;

/** The fence in a token: its first 16 hex digits. Undefined if the token has another form (spec 10). */
export const fenceOf = (token: string): bigint | undefined =>
  TOKEN.test(token) ? BigInt(`0x${token.slice(0, FENCE_DIGITS)}`) : undefined;
