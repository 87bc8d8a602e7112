import { timingSafeEqual } from 'node:crypto';

/** Whether that was said. Takes the same time wherever the first difference is (spec 2). @param said bytes */
export function isSecret(said: string | undefined, secret: Buffer): boolean {
  const token = Buffer.from(said ?? '', 'latin1');
  const same = timingSafeEqual(token.length === secret.length ? token : Buffer.alloc(secret.length), secret);
  return said !== undefined && token.length === secret.length && same;
}
