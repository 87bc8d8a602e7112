/**
 * What the specification says to each frame of one connection that has its keys to itself while no time passes, in the
 * plainest words: nothing of lib is used.
 */

/** The answer to a frame: exactly this line, or one of this form (whose token the model wants to know). */
export interface Prediction {
  line: string | RegExp;
  /** Told the line that came. */
  seen?: (line: string) => void;
}

/** What happens after the last predicted line. */
export type Outcome = 'goes on' | 'closes' | 'may block';

/** A grant; `prefix` is that of the commands for it. */
export interface Held {
  prefix: string;
  key: string;
  token: string;
}

interface Holder {
  token: string | undefined;
}

interface Resource {
  limit: bigint;
  holders: Holder[];
  /** A two-phase request of this connection waits. */
  queued: boolean;
}

interface TwoPhase {
  holder: Holder | undefined;
  ttl: bigint;
}

const SECONDS = 9_223_372_036n;
const INT64 = 2n ** 63n - 1n;
const SPACE = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/u;

const text = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');
const fields = (bytes: string): string[] =>
  text(bytes)
    .split(SPACE)
    .filter((field) => field !== '');
const blank = (bytes: string): boolean => fields(bytes).length === 0;

const int = (field: string | undefined, least: bigint, most: bigint): bigint | undefined => {
  if (field === undefined || !/^[+-]?[0-9]+$/.test(field)) return undefined;
  const value = field.startsWith('-') ? -BigInt(field.slice(1)) : BigInt(field.replace('+', ''));
  return value >= least && value <= most ? value : undefined;
};

const GRANTED = (word: string, ttl: bigint): RegExp => new RegExp(`^${word} [0-9a-f]{32} ${ttl}$`);

export class FuzzModel {
  /** Copies of signals that this connection must have been sent. */
  pushes = 0;
  private lines: string[] = [];
  private partial = '';
  private overlong = false;
  private resources = new Map<string, Resource>();
  private twoPhase = new Map<string, TwoPhase>();
  private subscriptions = new Set<string>();

  constructor(
    private readonly defaultLease: bigint,
    private readonly maxLocks: number,
  ) {}

  /** What this connection holds, as far as it knows the tokens. */
  get held(): Held[] {
    return [...this.resources].flatMap(([id, { holders }]) =>
      holders.flatMap(({ token }) => {
        const colon = id.indexOf(':');
        return token === undefined
          ? []
          : [{ prefix: id.startsWith('sem') ? 's' : '', key: id.slice(colon + 1), token }];
      }),
    );
  }

  /** How many line ends would complete the frame that has been begun. */
  get linesMissing(): number {
    return this.lines.length > 0 || this.partial !== '' ? 3 - this.lines.length : 0;
  }

  /** The connection has ended, and the server has noticed. */
  disconnect(): void {
    for (const resource of this.resources.values()) {
      resource.holders = [];
      resource.queued = false;
    }
    this.twoPhase.clear();
    this.subscriptions.clear();
    this.lines = [];
    this.partial = '';
    this.overlong = false;
    this.pushes = 0;
  }

  /** So much time has passed that the server has forgotten the idle keys; nothing was held. */
  forget(): void {
    this.resources.clear();
  }

  /** Reads bytes until they are used up, or until a frame that closes the connection or may block it. */
  feed(bytes: string): { used: number; predictions: Prediction[]; outcome: Outcome } {
    const predictions: Prediction[] = [];
    for (let at = 0; at < bytes.length;) {
      const end = bytes.indexOf('\n', at);
      this.partial += bytes.slice(at, end < 0 ? bytes.length : end);
      if (this.partial.length > this.cap()) this.overlong = true;
      if (end < 0) break;
      at = end + 1;
      if (this.overlong) return { used: at, predictions: [...predictions, { line: 'error' }], outcome: 'closes' };
      this.lines.push(this.partial.replace(/\r+$/, ''));
      this.partial = '';
      if (this.lines.length < 3) continue;
      const [command, key, argument] = this.lines as [string, string, string];
      this.lines = [];
      const answer = this.answer(command, key, argument);
      if (answer === 'may block') return { used: at, predictions, outcome: 'may block' };
      predictions.push(answer);
    }
    return { used: bytes.length, predictions, outcome: 'goes on' };
  }

  private cap(): number {
    return this.lines.length === 2 && (this.lines[0] === 'auth' || this.lines[0] === 'signal') ? 65_536 : 256;
  }

  private answer(command: string, key: string, argument: string): Prediction | 'may block' {
    const error = { line: 'error' };
    if (command === 'ping') return { line: 'ok' };
    if (command === 'stats') return { line: /^ok \{.*\}$/ };
    if (!/^s?[lrnew]$|^(un)?listen$|^signal$/.test(command)) return error;
    if (key === '' || /[ \t\r]/.test(key)) return error;
    if (command === 'listen' || command === 'unlisten') return this.listen(command, key, argument) ?? error;
    if (command === 'signal') return this.signal(key, argument) ?? error;
    const sem = command.startsWith('s');
    const id = `${sem ? 'sem' : 'lock'}:${key}`;
    const args = fields(argument);
    const limit = (field: string | undefined): bigint | undefined => (sem ? int(field, 1n, INT64) : 1n);
    switch (command.at(-1)) {
      case 'l': {
        const [wait, slots, lease] = sem ? [args[0], args[1], args[2]] : [args[0], '', args[1]];
        if (args.length > (sem ? 3 : 2)) return error;
        return this.acquire(id, int(wait, 0n, SECONDS), limit(slots), this.lease(lease)) ?? error;
      }
      case 'e': {
        const [slots, lease] = sem ? args : ['', args[0]];
        if (args.length > (sem ? 2 : 1)) return error;
        return this.enqueue(id, limit(slots), this.lease(lease)) ?? error;
      }
      case 'w':
        return this.wait(id, args.length === 1 ? int(args[0], 0n, SECONDS) : undefined) ?? error;
      case 'n': {
        const lease = args.length <= 2 ? this.lease(args[1]) : undefined;
        return args.length > 0 && lease !== undefined && this.holder(id, args[0]!) ? { line: `ok ${lease}` } : error;
      }
      default:
        return this.release(id, argument) ?? error;
    }
  }

  private lease(field: string | undefined): bigint | undefined {
    return field === undefined ? this.defaultLease : int(field, 1n, SECONDS);
  }

  private holder(id: string, token: string): Holder | undefined {
    return this.resources.get(id)?.holders.find((holder) => holder.token === token);
  }

  /** The resource, made if it may be; or the refusal. */
  private resource(id: string, limit: bigint): Resource | Prediction {
    const known = this.resources.get(id);
    if (known) return known.limit === limit ? known : { line: 'error_limit_mismatch' };
    if (this.resources.size >= this.maxLocks) return { line: 'error_max_locks' };
    const made: Resource = { limit, holders: [], queued: false };
    this.resources.set(id, made);
    return made;
  }

  private grant(resource: Resource, word: string, ttl: bigint): { prediction: Prediction; holder: Holder } {
    const holder: Holder = { token: undefined };
    resource.holders.push(holder);
    return { prediction: this.told(holder, word, ttl), holder };
  }

  private told(holder: Holder, word: string, ttl: bigint): Prediction {
    return {
      line: holder.token ? `${word} ${holder.token} ${ttl}` : GRANTED(word, ttl),
      seen: (line) => (holder.token = line.split(' ')[1]),
    };
  }

  private acquire(
    id: string,
    wait: bigint | undefined,
    limit: bigint | undefined,
    ttl: bigint | undefined,
  ): Prediction | 'may block' | undefined {
    if (wait === undefined || limit === undefined || ttl === undefined) return undefined;
    const resource = this.resource(id, limit);
    if ('line' in resource) return resource;
    if (!resource.queued && BigInt(resource.holders.length) < limit) return this.grant(resource, 'ok', ttl).prediction;
    return wait > 0n ? 'may block' : { line: 'timeout' };
  }

  private enqueue(id: string, limit: bigint | undefined, ttl: bigint | undefined): Prediction | undefined {
    if (limit === undefined || ttl === undefined) return undefined;
    if (this.twoPhase.has(id)) return { line: 'error_already_enqueued' };
    const resource = this.resource(id, limit);
    if ('line' in resource) return resource;
    if (BigInt(resource.holders.length) < limit) {
      const { prediction, holder } = this.grant(resource, 'acquired', ttl);
      this.twoPhase.set(id, { holder, ttl });
      return prediction;
    }
    resource.queued = true;
    this.twoPhase.set(id, { holder: undefined, ttl });
    return { line: 'queued' };
  }

  private wait(id: string, wait: bigint | undefined): Prediction | 'may block' | undefined {
    if (wait === undefined) return undefined;
    const state = this.twoPhase.get(id);
    if (!state) return { line: 'error_not_enqueued' };
    if (!state.holder && wait > 0n) return 'may block';
    this.twoPhase.delete(id);
    if (state.holder) return this.told(state.holder, 'ok', state.ttl);
    this.resources.get(id)!.queued = false;
    return { line: 'timeout' };
  }

  private release(id: string, argument: string): Prediction | undefined {
    const token = text(argument).replace(new RegExp(`^${SPACE.source}|${SPACE.source}$`, 'gu'), '');
    const holder = token === '' ? undefined : this.holder(id, token);
    if (!holder) return undefined;
    const resource = this.resources.get(id)!;
    resource.holders = resource.holders.filter((other) => other !== holder);
    const state = this.twoPhase.get(id);
    if (state?.holder === holder) this.twoPhase.delete(id);
    if (resource.queued) {
      // It is passed on to the request that waits; its token will be told by `w`.
      resource.queued = false;
      state!.holder = { token: undefined };
      resource.holders.push(state!.holder);
    }
    return { line: 'ok' };
  }

  private listen(command: string, pattern: string, group: string): Prediction | undefined {
    const tokens = pattern.split('.');
    const sound = tokens.every((t, i) => !/[*>]/.test(t) || t === '*' || (t === '>' && i === tokens.length - 1));
    if (!sound) return undefined;
    const subscription = `${pattern} ${fields(group).join(' ')}`;
    if (command === 'listen') this.subscriptions.add(subscription);
    else this.subscriptions.delete(subscription);
    return { line: 'ok' };
  }

  private signal(channel: string, payload: string): Prediction | undefined {
    if (/[*>]/.test(channel) || blank(payload) || 5 + channel.length + payload.length > 65_536) return undefined;
    const matching = [...this.subscriptions].filter((s) => matches(s.slice(0, s.indexOf(' ')), channel));
    const grouped = matching.filter((s) => !s.endsWith(' '));
    const copies = grouped.length + (matching.length > grouped.length ? 1 : 0);
    this.pushes += copies;
    return { line: `ok ${copies}` };
  }
}

function matches(pattern: string, channel: string): boolean {
  const [head, ...rest] = pattern.split('.');
  const [first, ...others] = channel.split('.');
  if (head === '>') return true;
  if (head !== '*' && head !== first) return false;
  if (rest.length === 0 || others.length === 0) return rest.length === others.length;
  return matches(rest.join('.'), others.join('.'));
}
