import type { Head } from '../answers/answer.js';

const ALLOWED: Head = [
  'Access-Control-Allow-Methods',
  'GET, POST, DELETE, OPTIONS',
  'Access-Control-Allow-Headers',
  'Authorization, Content-Type, X-Dflockd-Session',
  'Access-Control-Max-Age',
  '300',
];
const NO_HEAD: Head = [];

/** Which pages of other origins may read answers (spec 9.6). */
export class Cors {
  private readonly allowsAny: boolean;
  private readonly heads: ReadonlyMap<string, Head>;

  /** @param origins none: off. `*` beside others means any */
  constructor(origins: readonly string[]) {
    this.isOn = origins.length > 0;
    this.allowsAny = origins.includes('*');
    this.heads = new Map(
      origins.map((origin) => [origin, ['Access-Control-Allow-Origin', origin, 'Vary', 'Origin', ...ALLOWED]]),
    );
  }

  readonly isOn: boolean;

  /** The headers for an answer to a request of this origin. */
  headOf(origin: string | undefined): Head {
    if (origin === undefined || origin === '') return NO_HEAD;
    if (this.allowsAny) return ANY;
    return this.heads.get(origin) ?? NO_HEAD;
  }
}

const ANY: Head = ['Access-Control-Allow-Origin', '*', ...ALLOWED];
