import { createHash } from 'node:crypto';

/** A Lua script that Redis runs. */
export interface Script {
  /** For errors and tests. */
  readonly name: string;
  readonly source: string;
  /** Of the source, in hexadecimal: what EVALSHA asks for. */
  readonly sha1: string;
}

export const script = (name: string, source: string): Script => ({
  name,
  source,
  sha1: createHash('sha1').update(source).digest('hex'),
});
