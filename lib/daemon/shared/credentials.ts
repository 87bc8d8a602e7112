import { timingSafeEqual } from 'node:crypto';
import type { Request } from '../../protocol/messages.js';

/** Whether a request is an `auth` with the right token. Compares in constant time (spec 2). */
export function isLogin(frame: Request | string, secret: Buffer): boolean {
  const said = typeof frame === 'object' && frame.t === 'auth' ? frame.token : undefined;
  return isSecret(said, secret);
}

/** Compares in constant time. @param said a byte string; undefined: none, which takes as long to refuse */
export function isSecret(said: string | undefined, secret: Buffer): boolean {
  const token = Buffer.from(said ?? '', 'latin1');
  const same = timingSafeEqual(token.length === secret.length ? token : Buffer.alloc(secret.length), secret);
  return said !== undefined && token.length === secret.length && same;
}
