import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Message } from '../../../../lib/backends/redis/scripts/messages.js';
import { isToken, saltOf } from '../../../../lib/backends/redis/scripts/token.js';
import type { Reply } from '../../../support/redis/connection.js';
import { describeRedis } from '../../../support/redis/describe-redis.js';
import { RedisServer } from '../../../support/redis/server.js';
import { LockModel, SemaphoreModel, type ModelMessage } from './model.js';
import { FENCE, LEASE_MS, Listener, salt, Scripts, waiter } from './support.js';

/** Two that listen, one that does not, and two whose receivers cannot be counted, of which one listens. */
const CLIENTS = ['xaaaaaaaaa', 'xbbbbbbbbb', 'xccccccccc', 'uaaaaaaaaa', 'ubbbbbbbbb'] as const;
const listens = (client: string): boolean => /^(x[ab]|ua)/.test(client);

interface Step {
  readonly op: 't' | 'q' | 'r' | 'k' | 'c' | 'p' | 'expire' | 'die';
  readonly key: number;
  readonly limit: number;
  /** Whose waiter or holder it is about: one of the salts so far. */
  readonly of: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  op: fc.constantFrom('t', 'q', 'q', 'q', 'r', 'r', 'r', 'k', 'c', 'p', 'expire', 'die'),
  key: fc.nat(1),
  limit: fc.constantFrom(2, 2, 2, 2, 3),
  of: fc.nat(7),
});
const batch = fc.record({
  client: fc.constantFrom(...CLIENTS),
  steps: fc.array(step, { minLength: 1, maxLength: 3 }),
});
interface Batch {
  readonly client: string;
  readonly steps: readonly Step[];
}
const RUNS = 60;
const batches: fc.Arbitrary<Batch[]> = fc.array(batch, { minLength: 1, maxLength: 30, size: 'max' });

/** Salts in place of fences and tokens, and no times. */
function plain(reply: Reply): unknown {
  if (typeof reply === 'string') return FENCE.test(reply) ? 'held' : isToken(reply) ? saltOf(reply) : reply;
  if (!Array.isArray(reply)) return reply;
  return reply.map(plain);
}

/** One op: what the script is asked, and the model. */
interface Asked<M> {
  readonly call: readonly [op: string, x: string | number, y?: string | number];
  readonly ask: (model: M) => unknown;
}

/** What the two scripts have of their own. */
interface Kind<M> {
  readonly prefix: string;
  model(): M;
  asked(step: Step, client: string, chosen: { client: string; salt: string; token: string }): Asked<M>;
  run(client: string, calls: readonly (readonly [key: string, limit: number, ...Asked<M>['call']])[]): Promise<Reply[]>;
  /** A reply in the words of the model. */
  shown(op: string, reply: Reply): unknown;
  expire(key: string, model: M): Promise<void>;
  keys(key: string): { readonly alive: string };
  /** The tokens of those who hold it. */
  held(key: string): Promise<string[]>;
  holders(model: M): string[];
}

describeRedis('the scripts and a naive model', () => {
  let server: RedisServer;
  let scripts: Scripts;
  const listeners = new Map<string, Listener>();

  beforeAll(async () => {
    server = await RedisServer.start();
    scripts = new Scripts(server);
    for (const client of CLIENTS.filter(listens)) listeners.set(client, await Listener.on(server, client));
  });

  afterAll(async () => {
    await Promise.all([...listeners.values()].map((listener) => listener.close()));
    await server.stop();
  });

  async function published(): Promise<unknown[]> {
    const shown = (client: string, message: Message | undefined): ModelMessage => {
      if (!message || message.type === 'look') return [client, '!', ''];
      const letters = message.kind === 'lock' ? 'gc' : 'sd';
      return [client, letters[Number(message.confirm)]!, saltOf(message.token)];
    };
    const all = await Promise.all(
      [...listeners].map(async ([client, listener]) => (await listener.all()).map((message) => shown(client, message))),
    );
    return all.flat();
  }

  async function play<M extends LockModel | SemaphoreModel>(kind: Kind<M>, run: readonly Batch[]): Promise<void> {
    await server.command('FLUSHALL');
    // Of a run that failed.
    await published();
    const models = [kind.model(), kind.model()];
    const waiters: { client: string; salt: string }[] = [];
    const tokens = new Map<string, string>();
    const messages: ModelMessage[] = [];
    const log: unknown[] = [];
    for (const { client, steps } of run) {
      const asked: (Asked<M> & { key: number; limit: number })[] = [];
      for (const step of steps) {
        const { op, key, limit } = step;
        const name = `${kind.prefix}${key}`;
        const chosen = waiters.at(-1 - step.of) ?? { client, salt: salt() };
        if (op === 'expire') await kind.expire(name, models[key]!);
        if (op === 'die') await scripts.die(chosen.client, kind.keys(name));
        if (op === 'die') models[key]!.die(chosen.client);
        if (op === 'expire' || op === 'die') continue;
        const own = op === 't' || op === 'q' ? { client, salt: salt() } : chosen;
        if (own !== chosen) waiters.push(own);
        // Nobody knows a token before its reply.
        const unknown = salt();
        const token = tokens.get(own.salt) ?? `${'1'.repeat(16)}${unknown}`;
        const isByToken = op === 'r' || op === 'k';
        const subject = isByToken ? { client: own.client, salt: saltOf(token), token } : { ...own, token };
        asked.push({ key, limit, ...kind.asked(step, client, subject) });
      }
      if (asked.length === 0) continue;
      const calls = asked.map(({ key, limit, call }) => [`${kind.prefix}${key}`, limit, ...call] as const);
      const replies = await kind.run(client, calls);
      const got = replies.map((reply, i) => kind.shown(asked[i]!.call[0], reply));
      const wanted = asked.map(({ key, ask }) => {
        const model = models[key]!;
        const reply = ask(model);
        messages.push(...model.messages.splice(0));
        return reply;
      });
      log.push({ client, calls, got });
      expect([log, got]).toEqual([log, wanted]);
      for (const [key, model] of models.entries()) {
        const held = await kind.held(`${kind.prefix}${key}`);
        for (const token of held) tokens.set(saltOf(token), token);
        expect([log, held.map(saltOf).sort()]).toEqual([log, kind.holders(model).sort()]);
      }
    }
    const sent = [...listeners.keys()].flatMap((client) => messages.filter(([to]) => to === client));
    expect([log, await published()]).toEqual([log, sent]);
  }

  let singles = 0;

  it('agree about locks', () =>
    fc.assert(
      fc.asyncProperty(batches, (run) =>
        play<LockModel>(
          {
            prefix: 'lock:',
            model: () => new LockModel(listens),
            asked({ op }, client, { client: theirs, salt: of, token }) {
              if (op === 't') return { call: [op, of, LEASE_MS], ask: (model) => model.try(client, of) };
              if (op === 'q') return { call: [op, of, LEASE_MS], ask: (model) => model.take(client, of) };
              if (op === 'c') return { call: [op, waiter(theirs, of)], ask: (model) => model.cancel(client, of) };
              if (op === 'p') return { call: [op, waiter(theirs, of)], ask: (model) => model.poke(client, of) };
              const keeps = op === 'k';
              return { call: ['r', token, keeps ? LEASE_MS : 0], ask: (model) => model.release(client, of, keeps) };
            },
            async run(client, calls) {
              const [[key, , ...call]] = calls as [(typeof calls)[number]];
              // Every other one, so that both ways are gone.
              if (calls.length === 1 && ++singles % 2 === 0) return [await scripts.single(client, key, ...call)];
              return scripts.locks(
                client,
                calls.map(([of, , ...op]) => [of, ...op] as const),
              );
            },
            shown(op, reply) {
              if (op === 't' && typeof reply === 'number') return 'busy';
              if (!Array.isArray(reply)) return plain(reply);
              return [reply[0], reply[2] === '' ? undefined : plain(reply[2]!)];
            },
            async expire(key, model) {
              await server.command('DEL', key);
              model.expire();
            },
            keys: (key) => scripts.keys(key),
            held: async (key) =>
              ((await server.command('MGET', key)) as (string | null)[]).filter((one) => one !== null),
            holders: ({ salt: holder }) => (holder === undefined ? [] : [holder]),
          },
          run,
        ),
      ),
      { numRuns: RUNS },
    ));

  it('agree about semaphores', () =>
    fc.assert(
      fc.asyncProperty(batches, (run) =>
        play<SemaphoreModel>(
          {
            prefix: 'sem:',
            model: () => new SemaphoreModel(listens),
            asked({ op, limit }, client, { client: theirs, salt: of, token }) {
              if (op === 't') return { call: [op, of, LEASE_MS], ask: (model) => model.try(client, of, limit) };
              if (op === 'q') return { call: [op, of, LEASE_MS], ask: (model) => model.take(client, of, limit) };
              if (op === 'c') return { call: [op, waiter(theirs, of)], ask: (model) => model.cancel(client, of) };
              if (op === 'p') return { call: [op, waiter(theirs, of)], ask: (model) => model.poke(client, of) };
              if (op === 'r') return { call: [op, token, 0], ask: (model) => model.release(client, of) };
              // Leases that are renewed or kept would not end in the order of the model.
              return { call: ['i', ''], ask: (model) => model.inspect() };
            },
            run: (client, calls) => scripts.semaphores(client, calls),
            shown(op, reply) {
              if (op === 't' && typeof reply === 'number') return 'full';
              if (op === 'q' && Array.isArray(reply) && reply[0] !== 'L') return [reply[0], plain(reply[2]!)];
              if (op === 'p' && Array.isArray(reply)) return [reply[0], ...reply.slice(2).map(plain)];
              return plain(reply);
            },
            async expire(key, model) {
              const [first] = (await server.command('ZRANGE', key, '(1', '+inf', 'BYSCORE', 'LIMIT', 0, 1)) as string[];
              if (first === undefined) return;
              await server.command('ZADD', key, 1, first);
              model.expire(saltOf(first));
            },
            keys: (key) => scripts.semaphoreKeys(key),
            held: async (key) => (await server.command('ZRANGE', key, '(1', '+inf', 'BYSCORE')) as string[],
            holders: ({ holders }) => [...holders],
          },
          run,
        ),
      ),
      { numRuns: RUNS },
    ));
});
