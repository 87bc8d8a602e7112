import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Calls } from '../../../../lib/backends/redis/calls.js';
import { KeyNames } from '../../../../lib/backends/redis/key-names.js';
import type { Op } from '../../../../lib/backends/redis/op.js';
import { addLock, Outbox, singleOf } from '../../../../lib/backends/redis/outbox.js';
import { lockScript } from '../../../../lib/backends/redis/scripts/lock-script.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { DIGITS, lost, opsOf, type SentOp, turn } from './scripted-redis.js';

/** What is asked for, what Redis answers, and where turns end. Whatever else is done in one turn is done in microtasks. */
type Step =
  | { readonly kind: 'push'; readonly op: string; readonly key: string }
  | { readonly kind: 'drop'; readonly index: number }
  | { readonly kind: 'reply'; readonly isFree: boolean }
  | { readonly kind: 'fail' | 'microtask' | 'turn' };

const of = <K extends string>(kind: K): fc.Arbitrary<K> => fc.constant(kind);
const push = fc.record({
  kind: of('push'),
  op: fc.constantFrom('q', 'q', 'q', 't', 'r', 'c', 'p'),
  key: fc.constantFrom('{s}a', '{s}a', '{s}b', 'c'),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: push },
  { weight: 2, arbitrary: fc.record({ kind: of('drop'), index: fc.nat(3) }) },
  { weight: 6, arbitrary: fc.record({ kind: of('reply'), isFree: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: of('fail') }) },
  { weight: 2, arbitrary: fc.record({ kind: of('microtask') }) },
  { weight: 4, arbitrary: fc.record({ kind: of('turn') }) },
);

/** What is asked for by somebody, who notes what he is told. */
class Asked implements Op {
  readonly kind = 'lock';
  readonly limit = 1;
  readonly y = '0';
  sentAt = NaN;
  isDropped = false;
  outcomes = 0;

  constructor(
    readonly keys: Op['keys'],
    readonly op: string,
    /** By which it is known in the requests. */
    readonly x: string,
    private readonly next: (() => void) | undefined,
  ) {}

  answered(): void {
    this.outcomes++;
    this.next?.();
  }

  refused(): void {
    this.outcomes++;
  }

  unanswered(): void {
    this.outcomes++;
  }
}

interface Sent {
  readonly ops: readonly SentOp[];
  /** It was answered that another request is needed. */
  isVoid: boolean;
  /** Whether it did anything but fail. */
  settle(how: 'free' | 'taken' | 'fail'): void;
}

/** An outbox, a Redis that answers in order when it is told to, and those who ask. */
class Order {
  readonly pushed: Asked[] = [];
  readonly sent: Sent[] = [];
  private open: Sent[] = [];
  private readonly names: KeyNames;
  private readonly outbox: Outbox;

  constructor(isCluster: boolean, writesAtOnce: boolean) {
    this.names = new KeyNames({ lock: '', sem: 'sem:' }, isCluster);
    const context = {
      calls: new Calls(new FakeClock()),
      server: 'here',
      isCluster,
      writesAtOnce,
      livenessMs: 5000,
      client: () => 'x000000000',
      eval: ({ name }: { name: string }, keys: readonly string[], args: readonly string[]) =>
        new Promise((resolve, reject) => this.send(name, opsOf(name, keys, args), resolve, reject)),
      opError: () => lost(),
    };
    this.outbox = new Outbox(context, lockScript, addLock, singleOf);
  }

  push(op: string, key: string): void {
    // What somebody does about an answer he does in the same turn.
    const next = this.pushed.length % 3 === 0 && op !== 'r' ? () => this.push('r', key) : undefined;
    const asked = new Asked(this.names.of('lock', key), op, `${this.pushed.length}`, next);
    this.pushed.push(asked);
    this.outbox.push(asked);
  }

  drop(index: number): void {
    const unsent = this.pushed.filter(({ sentAt }) => Number.isNaN(sentAt));
    if (unsent.length > 0) unsent[index % unsent.length]!.isDropped = true;
  }

  settle(how: 'free' | 'taken' | 'fail'): boolean {
    const [next] = this.open.splice(0, 1);
    next?.settle(how);
    return next !== undefined;
  }

  private send(name: string, ops: SentOp[], resolve: (reply: unknown) => void, reject: (error: Error) => void): void {
    const settle = (how: string): void => {
      if (how === 'fail') return reject(lost());
      const reply = how === 'free' ? DIGITS : 0;
      if (name === 'lock') return resolve(ops.map(() => reply));
      sent.isVoid = how === 'taken';
      resolve(sent.isVoid ? null : reply);
    };
    const sent: Sent = { ops, isVoid: false, settle };
    this.sent.push(sent);
    this.open.push(sent);
  }
}

async function run(order: Order, steps: readonly Step[]): Promise<void> {
  for (const each of steps) {
    if (each.kind === 'push') order.push(each.op, each.key);
    else if (each.kind === 'drop') order.drop(each.index);
    else if (each.kind === 'reply') order.settle(each.isFree ? 'free' : 'taken');
    else if (each.kind === 'fail') order.settle('fail');
    else if (each.kind === 'microtask') await Promise.resolve();
    else await turn();
  }
  do await turn();
  while (order.settle('free'));
}

it.each([
  ['one server, by a driver that gathers the calls of a turn', false, false],
  ['one server, by a driver that writes at once', false, true],
  ['a cluster, by a driver that gathers the calls of a turn', true, false],
  ['a cluster, by a driver that writes at once', true, true],
])(
  'what is asked for one key is done in the order in which it was asked for, on %s',
  async (_on, isCluster, atOnce) => {
    const some = fc.noBias(fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }));
    await fc.assert(
      fc.asyncProperty(some, async (steps) => {
        const order = new Order(isCluster, atOnce);
        await run(order, steps);
        // A release lets those after it pass if it has to be sent again: it takes nobody's place.
        const done = order.sent.filter(({ isVoid, ops }) => !isVoid || ops[0]!.op === 'r').flatMap(({ ops }) => ops);
        const first = done.filter(({ x }, i) => done.findIndex((op) => op.x === x) === i);
        const wasSent = new Set(order.sent.flatMap(({ ops }) => ops.map(({ x }) => x)));
        for (const key of ['{s}a', '{s}b', 'c']) {
          const asked = order.pushed.filter(({ keys, x }) => keys.key === key && wasSent.has(x));
          // One that was dropped after a first request in vain has not been done.
          const wanted = asked.filter(({ x, isDropped }) => !isDropped || first.some((op) => op.x === x));
          expect(first.filter((op) => op.key === key).map(({ x }) => x)).toEqual(wanted.map(({ x }) => x));
        }
        for (const { isDropped, outcomes } of order.pushed)
          expect(isDropped ? outcomes <= 1 : outcomes === 1).toBe(true);
      }),
      { numRuns: 150 },
    );
  },
);
