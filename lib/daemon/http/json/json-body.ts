import type { Limit } from '../../../protocol/messages.js';
import { decodeText } from './json-string.js';

/** The fields that a body may have, by their names in lower case. */
export type BodyShape = Readonly<Record<string, 'integer' | 'text'>>;

/**
 * The fields of a body: 0 or empty where the body has none. Texts are byte strings. An integer is a bigint only beyond
 * 2^53.
 */
export type BodyFields<S extends BodyShape> = { [K in keyof S]: S[K] extends 'integer' ? Limit : string };

const [TAB, LF, CR, SPACE, QUOTE, COMMA, MINUS, DOT, ZERO, NINE, COLON] = Buffer.from('\t\n\r ",-.09:');
const [OPEN, BACKSLASH, CLOSE, E, SMALL_E] = Buffer.from('{\\}Ee');
const SMALL_N = 0x6e;

/** As many digits as -2^63 has; a JSON number has no leading zeros. */
const INT64_DIGITS = 19;
const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

/**
 * Reads a request body as Go's decoder does, which is stricter than `JSON.parse` in some points and laxer in others: an
 * object of strings and of integers that fit in 64 bits, without unknown fields. The case of names does not matter. The
 * last value of a repeated name counts, except that null changes nothing.
 *
 * @param blank whether a body that is empty or white space counts as `{}`
 * @returns what is wrong with the body, without a word of its content, if it is refused
 */
export function readBody<S extends BodyShape>(body: Buffer, shape: S, blank = false): BodyFields<S> | string {
  return new BodyReader(body, shape).read(blank) as BodyFields<S> | string;
}

/** ASCII letters, and the two other characters that Unicode folds to ASCII letters: U+017F to s, U+212A to k. */
const foldName = (name: string): string =>
  name.replaceAll('\xc5\xbf', 's').replaceAll('\xe2\x84\xaa', 'k').toLowerCase();

class BodyReader {
  private at = 0;
  private fault: string | undefined;
  private readonly fields: Record<string, string | Limit> = {};

  constructor(
    private readonly body: Buffer,
    private readonly shape: BodyShape,
  ) {
    for (const name in shape) this.fields[name] = shape[name] === 'integer' ? 0 : '';
  }

  read(blank: boolean): Record<string, string | Limit> | string {
    const first = this.next();
    if (first === undefined) return blank ? this.fields : 'the body is empty';
    if (first === OPEN) this.readObject();
    else if (!this.skipNull()) return 'the body must be a JSON object';
    if (this.fault === undefined && this.next() !== undefined) this.fault = 'the body goes on after its JSON object';
    return this.fault ?? this.fields;
  }

  /** The next byte that is not white space, which is not consumed. */
  private next(): number | undefined {
    const { body } = this;
    for (;;) {
      const byte = body[this.at];
      if (byte !== SPACE && byte !== LF && byte !== TAB && byte !== CR) return byte;
      this.at++;
    }
  }

  private readObject(): void {
    this.at++;
    if (this.next() === CLOSE) return void this.at++;
    while (this.readMember()) {
      const byte = this.next();
      this.at++;
      if (byte === CLOSE) return;
      if (byte !== COMMA) return void this.malformed(this.at - 1);
    }
  }

  /** @returns false if there is a fault */
  private readMember(): boolean {
    if (this.next() !== QUOTE) return this.malformed();
    const start = this.at;
    const name = this.readText();
    if (name === undefined) return false;
    if (this.next() !== COLON) return this.malformed();
    this.at++;
    this.next();
    const known = Object.hasOwn(this.shape, name) ? name : foldName(name);
    if (!Object.hasOwn(this.shape, known)) return this.refuse(`the body has an unknown field at byte ${start}`);
    if (this.skipNull()) return true;
    const value = this.shape[known] === 'integer' ? this.readInteger(known) : this.readString(known);
    if (value === undefined) return false;
    this.fields[known] = value;
    return true;
  }

  private readString(name: string): string | undefined {
    if (this.body[this.at] === QUOTE) return this.readText();
    this.refuse(`${name} must be a string`);
    return undefined;
  }

  /** At the opening quote. */
  private readText(): string | undefined {
    const { body } = this;
    const start = ++this.at;
    let plain = true;
    for (; ; this.at++) {
      const byte = body[this.at];
      if (byte === QUOTE) break;
      if (byte === undefined || byte < SPACE!) return void this.malformed();
      if (byte >= 0x80) plain = false;
      if (byte !== BACKSLASH) continue;
      plain = false;
      this.at++;
    }
    const end = this.at++;
    if (plain) return body.toString('latin1', start, end);
    const text = decodeText(body, start, end);
    return typeof text === 'number' ? void this.malformed(text) : text;
  }

  private readInteger(name: string): Limit | undefined {
    const { body } = this;
    const start = this.at;
    if (body[this.at] === MINUS) this.at++;
    const first = this.at;
    while (body[this.at]! >= ZERO! && body[this.at]! <= NINE!) this.at++;
    const digits = this.at - first;
    const after = body[this.at];
    if (digits === 0 || after === DOT || after === E || after === SMALL_E) {
      this.refuse(`${name} must be an integer`);
      return undefined;
    }
    if (digits > 1 && body[first] === ZERO) return void this.malformed(first);
    if (digits <= INT64_DIGITS) {
      const text = body.toString('latin1', start, this.at);
      const value = Number(text) + 0; // not -0
      if (Number.isSafeInteger(value)) return value;
      const exact = BigInt(text);
      if (exact >= INT64_MIN && exact <= INT64_MAX) return exact;
    }
    this.refuse(`${name} does not fit in 64 bits`);
    return undefined;
  }

  private skipNull(): boolean {
    const { body, at } = this;
    if (body[at] !== SMALL_N || body.toString('latin1', at, at + 4) !== 'null') return false;
    this.at += 4;
    return true;
  }

  private malformed(at = this.at): false {
    return this.refuse(`the body is not JSON at byte ${at}`);
  }

  private refuse(fault: string): false {
    this.fault ??= fault;
    return false;
  }
}
