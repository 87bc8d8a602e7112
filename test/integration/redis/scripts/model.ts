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

/** The salt of who was served, or 1; nobody, and a new caller may take it (undefined) or not (false). */
type Served = string | 1 | undefined | false;

/** A walk through the queue: how many were skipped, and whether one of them is of the calling client. */
interface Walk {
  skipped: number;
  own: boolean;
}

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

  /** Takes the next waiter that is alive and is told, and says whether by the reply. Those who cannot be told keep their places. */
  protected next(
    caller: string,
    direct: boolean,
    walk: Walk,
    sure: string,
    unsure: string,
  ): [ModelWaiter, boolean] | undefined {
    for (;;) {
      const waiter = this.queue[walk.skipped];
      if (this.queue.length === 0) this.alive.clear();
      if (!waiter) return undefined;
      const isOwn = waiter.client === caller;
      const lives = isOwn || this.alive.has(waiter.client);
      const isTold = lives && ((isOwn && direct) || this.tell(waiter, sure, unsure));
      if (isTold || !lives) this.queue.splice(walk.skipped, 1);
      else walk.skipped++;
      if (isTold) return [waiter, isOwn && direct];
      if (lives && isOwn) walk.own = true;
    }
  }

  /** Whether the waiter may keep it. */
  private tell({ client, salt }: ModelWaiter, sure: string, unsure: string): boolean {
    const letter = client.startsWith('u') ? unsure : sure;
    if (this.listens(client)) this.messages.push([client, letter, salt]);
    return client.startsWith('u') || this.listens(client);
  }

  protected look(): void {
    const [first] = this.queue;
    if (first && this.listens(first.client)) this.messages.push([first.client, '!', '']);
  }
}

/** The salt of a lock that is kept after its release. */
const KEPT = '0'.repeat(16);

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
    if (!keeps) return this.pass(client, true) || 1;
    this.salt = KEPT;
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
    if (this.salt !== undefined || this.pass(client, false) !== undefined) return false;
    this.salt = salt;
    return true;
  }

  private pass(caller: string, direct: boolean): Served {
    const walk = { skipped: 0, own: false };
    const [waiter, isReply] = this.next(caller, direct, walk, 'g', 'c') ?? [];
    this.salt = waiter?.salt;
    if (waiter) return isReply ? waiter.salt : 1;
    return walk.own ? false : undefined;
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
    const own = this.fill(client, true).served;
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
    if (this.fill(client, false).keeps || this.holders.length >= limit) return full();
    this.holders.push(salt);
    return 'held';
  }

  private free(client: string, salt: string): unknown {
    this.holders.splice(this.holders.indexOf(salt), 1);
    const own = this.fill(client, true).served;
    return own.length > 0 ? ['G', ...own] : 1;
  }

  /** Whom the reply serves, and whether what is free is kept for others. */
  private fill(caller: string, direct: boolean): { served: string[]; keeps: boolean } {
    const served: string[] = [];
    const walk = { skipped: 0, own: false };
    while (this.holders.length < this.limit) {
      const [waiter, isReply] = this.next(caller, direct, walk, 's', 'd') ?? [];
      if (!waiter) return { served, keeps: walk.own && !direct };
      if (isReply) served.push(waiter.salt);
      this.holders.push(waiter.salt);
    }
    return { served, keeps: false };
  }
}
