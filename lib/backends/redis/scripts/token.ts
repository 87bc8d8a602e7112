import type { Entropy, Ms } from '../../../common/system.js';

/**
 * How the messages for a client are delivered, the first character of its id. `x`: PUBLISH, and the number of receivers
 * that it returns is right. `u`: PUBLISH, and the number may be wrong, as in a cluster, where only those on the same
 * node are counted. `s`: SPUBLISH in a cluster, to the shard of the key; the number is right.
 */
export type ClientFlag = 'x' | 'u' | 's';

const CLIENT_LENGTH = 10;
const SALT_LENGTH = 16;
const FENCE_LENGTH = 16;

const hex = (entropy: Entropy, digits: number): string => {
  const bytes = Buffer.alloc(Math.ceil(digits / 2));
  entropy.fill(bytes);
  return bytes.toString('hex').slice(0, digits);
};

/** The id of one client: its flag and 9 random hexadecimal digits. */
export const clientId = (flag: ClientFlag, entropy: Entropy): string => flag + hex(entropy, CLIENT_LENGTH - 1);

const COUNTER_END = 2 ** 24;

/**
 * Salts tell the requests of all clients apart: 10 random hexadecimal digits and a counter of 6, and other random digits
 * after each round of the counter. One for each request that is sent; a request that is sent again has a new one.
 */
export class Salts {
  private random = '';
  private counter = COUNTER_END;

  constructor(private readonly entropy: Entropy) {}

  next(): string {
    if (this.counter === COUNTER_END) {
      this.random = hex(this.entropy, 10);
      this.counter = 0;
    }
    // One digit more, so that leading zeros stay.
    return this.random + (COUNTER_END + this.counter++).toString(16).slice(1);
  }
}

/** The value of a lock key: the fence in 16 digits, then the salt of the request that was granted. */
export const tokenOf = (digits: string, salt: string): string => digits + salt;

const TOKEN = /^\d{16}[0-9a-f]{16}$/;

/** Whether a lock key with this value is held by a program that uses these scripts. */
export const isToken = (value: string): boolean => TOKEN.test(value);

/** The salt of the request that was granted with this token. */
export const saltOf = (token: string): string => token.slice(FENCE_LENGTH);

/** The fence in a token, or in the digits that a script replies: nanoseconds, as the fences of dflockd, in steps of 1,000. */
export const fenceOf = (token: string): bigint => BigInt(token.slice(0, FENCE_LENGTH)) * 1000n;

/** A waiter as it stands in a queue. `leaseMs` is a whole number. */
export const memberOf = (client: string, salt: string, leaseMs: Ms): string => `${client}${salt}${leaseMs}`;

/** The salt of a waiter. */
export const saltOfMember = (member: string): string => member.slice(CLIENT_LENGTH, CLIENT_LENGTH + SALT_LENGTH);
