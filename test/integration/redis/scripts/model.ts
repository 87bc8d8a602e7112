/**
 * What the scripts do, said again as simply as possible: no fences, no times. A lease ends, and a client is dead, when the test
 * says so.
 */
export interface ModelWaiter {
  readonly client: string;
  readonly salt: string;
}

/** A message: to whom, which letter, which salt. */
export type ModelMessage = readonly [client: string, letter: string, salt: string];

/** The salt of who was served, 1 or nobody. */
type Served = string | 1 | undefined;

abstract class Model {
  readonly messages: ModelMessage[] = [];
  readonly queue: ModelWaiter[] = [];
  private readonly alive = new Set<string>();

  /** @param listens whether somebody receives what is published to a client */
  constructor(protected readonly listens: (client: string) => boolean) {}

  die(client: string): void {
    this.alive.delete(client);
  }

  protected lives(client: string): void {
    this.alive.add(client);
  }

  protected enqueue(client: string, salt: string): void {
    this.queue.push({ client, salt });
    this.lives(client);
  }

  protected leave(salt: string): boolean {
    const at = this.queue.findIndex((waiter) => waiter.salt === salt);
    if (at >= 0) this.queue.splice(at, 1);
    return at >= 0;
  }

  protected rank(salt: string): number {
    return this.queue.findIndex((waiter) => waiter.salt === salt);
  }

  /** The next waiter that is alive. */
  protected head(caller: string): ModelWaiter | undefined {
    for (;;) {
      const waiter = this.queue.shift();
      if (!waiter) this.alive.clear();
      if (!waiter || waiter.client === caller || this.alive.has(waiter.client)) return waiter;
    }
  }

  /** Whether the waiter may keep it. */
  protected tell({ client, salt }: ModelWaiter, sure: string, unsure: string): boolean {
    const letter = client.startsWith('u') ? unsure : sure;
    if (this.listens(client)) this.messages.push([client, letter, salt]);
    return client.startsWith('u') || this.listens(client);
  }

  protected look(): void {
    const [first] = this.queue;
    if (first && this.listens(first.client)) this.messages.push([first.client, '!', '']);
  }
}

export class LockModel extends Model {
  /** Of the holder. */
  salt: string | undefined;

  expire(): void {
    this.salt = undefined;
  }

  try(client: string, salt: string): unknown {
    return this.acquire(client, salt) ? 'held' : 'busy';
  }

  take(client: string, salt: string): unknown {
    if (this.acquire(client, salt)) return 'held';
    this.enqueue(client, salt);
    return [this.rank(salt), this.salt];
  }

  release(client: string, salt: string, keeps: boolean): unknown {
    if (this.salt !== salt) return 0;
    if (!keeps) return this.pass(client, true) ?? 1;
    this.look();
    return 1;
  }

  cancel(client: string, salt: string): unknown {
    if (this.leave(salt)) return 1;
    const reply = this.release(client, salt, false);
    return reply === 1 ? 2 : reply;
  }

  poke(client: string, salt: string): unknown {
    this.lives(client);
    if (this.salt === undefined && this.queue.length > 0) this.pass(client, true);
    return [this.rank(salt), this.salt];
  }

  private acquire(client: string, salt: string): boolean {
    if (this.salt !== undefined || (this.queue.length > 0 && this.pass(client, false) !== undefined)) return false;
    this.salt = salt;
    return true;
  }

  private pass(caller: string, direct: boolean): Served {
    for (;;) {
      const waiter = this.head(caller);
      this.salt = waiter?.salt;
      if (!waiter) return undefined;
      if (direct && waiter.client === caller) return waiter.salt;
      if (this.tell(waiter, 'g', 'c')) return 1;
    }
  }
}

export class SemaphoreModel extends Model {
  /** Salts, in the order in which they were granted. */
  holders: string[] = [];
  private limit = 0;

  expire(salt: string): void {
    this.holders = this.holders.filter((holder) => holder !== salt);
  }

  try(client: string, salt: string, limit: number): unknown {
    return this.acquire(client, salt, limit, () => 'full');
  }

  take(client: string, salt: string, limit: number): unknown {
    return this.acquire(client, salt, limit, () => {
      this.enqueue(client, salt);
      return [this.rank(salt), ''];
    });
  }

  release(client: string, salt: string): unknown {
    if (!this.holders.includes(salt)) return 0;
    return this.free(client, salt);
  }

  cancel(client: string, salt: string): unknown {
    if (this.leave(salt)) return 1;
    if (!this.holders.includes(salt)) return 0;
    const reply = this.free(client, salt);
    return reply === 1 ? 2 : reply;
  }

  poke(client: string, salt: string): unknown {
    this.lives(client);
    const own = this.queue.length > 0 ? this.fill(client, true) : [];
    return [this.rank(salt), this.holders.includes(salt) ? salt : '', ...own];
  }

  inspect(): unknown {
    return this.holders.length;
  }

  private get isUsed(): boolean {
    return this.holders.length + this.queue.length > 0;
  }

  private acquire(client: string, salt: string, limit: number, full: () => unknown): unknown {
    if (this.isUsed && this.limit !== limit) {
      if (this.holders.length === 0) this.fill(client, false);
      if (this.isUsed) return ['L', this.limit];
    }
    this.limit = limit;
    if (this.queue.length > 0) this.fill(client, false);
    if (this.queue.length > 0 || this.holders.length >= limit) return full();
    this.holders.push(salt);
    return 'held';
  }

  private free(client: string, salt: string): unknown {
    this.holders.splice(this.holders.indexOf(salt), 1);
    const own = this.queue.length > 0 ? this.fill(client, true) : [];
    return own.length > 0 ? ['G', ...own] : 1;
  }

  private fill(caller: string, direct: boolean): string[] {
    const own: string[] = [];
    while (this.holders.length < this.limit) {
      const waiter = this.head(caller);
      if (!waiter) break;
      const isOwn = direct && waiter.client === caller;
      if (isOwn) own.push(waiter.salt);
      if (isOwn || this.tell(waiter, 's', 'd')) this.holders.push(waiter.salt);
    }
    return own;
  }
}
