import { beforeAll, describe, expect, it } from '@jest/globals';
import { COMPILERS } from './compile.js';

const PRELUDE = `
import { applyDecorators, SetMetadata } from '@nestjs/common';
import { Observable } from 'rxjs';
import { CronLock, LockRequest, WithLock, type LockHandle, type LockTicket, DflockdService } from '../../lib/entries/index.js';
interface Order { id: string; lines: { sku: number }[]; note?: string; owner: { id: bigint } }
declare const value: any;
export { Observable, CronLock, LockRequest, WithLock, applyDecorators, SetMetadata, DflockdService, type Order, type LockHandle, type LockTicket, value };
`;

const accepted: Record<string, string> = {
  'a template without placeholders': `class A { @WithLock('all') async m(): Promise<void> {} }`,
  'a placeholder for an argument': `class A { @WithLock('order:{0}') async m(id: string): Promise<number> { return +id; } }`,
  'a path into an argument': `class A { @WithLock('order:{0.id}') async m(order: Order): Promise<void> {} }`,
  'a path through an array': `class A { @WithLock('sku:{0.lines.0.sku}') async m(order: Order): Promise<void> {} }`,
  'several placeholders of all leaf types': `class A { @WithLock('{0}:{1}:{2}:{3}') async m(a: string, b: number, c: bigint, d: boolean): Promise<void> {} }`,
  'an optional argument and property': `class A { @WithLock('{0.note}:{1}') async m(o: Order, b?: number): Promise<void> {} }`,
  'a rest argument': `class A { @WithLock('{0}:{3}') async m(...ids: string[]): Promise<void> {} }`,
  'an argument of type any': `class A { @WithLock('{0.a.b}') async m(x: any): Promise<void> {} }`,
  'a literal union argument': `class A { @WithLock('{0}') async m(x: 'a' | 'b' | undefined): Promise<void> {} }`,
  'a key that is not a literal': `const key: string = value; class A { @WithLock(key) async m(): Promise<void> {} }`,
  'a function with inferred arguments': `class A { @WithLock((order) => order.owner.id.toString()) async m(order: Order): Promise<void> {} }`,
  'a function with an inferred this': `class A { tenant = 't'; @WithLock(function (id) { return this.tenant + id.toFixed(); }) async m(id: number): Promise<void> {} }`,
  'a shorter function than the method': `class A { @WithLock((a) => a) async m(a: string, b: number): Promise<void> {} }`,
  'a template on an argument of a generic class by function': `class A<T extends { id: string }> { @WithLock((x: { id: string }) => x.id) async m(x: T): Promise<void> {} }`,
  'several keys': `class A { @WithLock(['from:{0}', 'to:{1.id}', 'all']) async m(from: string, to: Order): Promise<void> {} }`,
  'several keys that are not literals': `const keys: string[] = value; class A { @WithLock(keys) async m(): Promise<void> {} }`,
  'a function that returns several keys': `class A { @WithLock((ids) => ids.map((id) => 'order:' + id)) async m(ids: string[]): Promise<void> {} }`,
  'skip where the result may be undefined': `class A { @WithLock('k', { onBusy: 'skip' }) async m(): Promise<number | undefined> { return 1; } }`,
  'skip where there is no result': `class A { @WithLock('k', { onBusy: 'skip' }) async m(): Promise<void> {} }`,
  'a fallback with the arguments of the method': `class A { @WithLock('k', { onBusy: (busy, id) => busy.code + id.trim() }) async m(id: string): Promise<string> { return id; } }`,
  'an asynchronous fallback': `class A { @WithLock('k', { onBusy: async (_busy, id) => id }) async m(id: string): Promise<string> { return id; } }`,
  'all options': `class A { @WithLock('k', { acquireTimeoutS: 0.5, leaseTtlS: 30, limit: 3, minHoldS: 1, maxHoldS: 60, instance: 'a', onLost: 'ignore', onBusy: 'throw', onNested: 'join' }) async m(): Promise<void> {} }`,
  'a signal of the arguments': `class A { @WithLock('k:{0}', { signal: (id, request) => (id ? request.signal : undefined) }) async m(id: string, request: { signal: AbortSignal }): Promise<void> {} }`,
  'a signal of this': `class A { stop = new AbortController(); @WithLock('k', { signal: function () { return this.stop.signal; } }) async m(): Promise<number> { return 1; } }`,
  'a signal for an Observable': `class A { @WithLock('k:{0}', { returns: 'observable', signal: (_id, request) => request.signal }) m(id: string, request: { signal: AbortSignal }): Observable<string> { return value; } }`,
  'an Observable that says so': `class A { @WithLock('k', { returns: 'observable' }) m(): Observable<number> { return value; } }`,
  'a Promise of an Observable that says so': `class A { @WithLock('k:{0}', { returns: 'observable' }) async m(id: string): Promise<Observable<number>> { return value; } }`,
  'an async generator': `class A { @WithLock('k:{0}') async *m(id: string): AsyncGenerator<number> { yield 1; } }`,
  'a fallback for an Observable': `class A { @WithLock('k', { returns: 'observable', onBusy: (busy, id) => new Observable<string>((s) => s.next(busy.code + id.trim())) }) m(id: string): Observable<string> { return value; } }`,
  'a method that returns any': `class A { @WithLock('k') m(): any { return value; } @WithLock('k') async n(): Promise<any> {} @WithLock('k') async o(): Promise<never> { throw value; } }`,
  'two locks on one method': `class A { @WithLock('a:{0}') @WithLock('b:{1}') async m(a: string, b: string): Promise<void> {} }`,
  'an override and its super': `class A { @WithLock('a:{0}') async m(a: string): Promise<string> { return a; } } export class B extends A { @WithLock('a:{0}', { onNested: 'join' }) override async m(a: string): Promise<string> { return super.m(a); } }`,
  'a request lock on a class and a method': `@LockRequest((context) => context.getClass().name) class A { @LockRequest((context) => ['a', context.getHandler().name], { acquireTimeoutS: 1, limit: 2 }) m(): number { return 1; } }`,
  applyDecorators: `const Locked = () => applyDecorators(SetMetadata('a', 1), WithLock('k')); class A { @Locked() async m(): Promise<void> {} }`,
  'a private and a protected method': `class A { @WithLock('k{0}') protected async m(a: string): Promise<void> {} @WithLock('k{0}') private async n(a: string): Promise<void> {} async o() { await this.n('') } }`,
  'a cron job': `class A { @CronLock('job', { minHoldS: 30 }) async m(): Promise<void> {} }`,
  'the service': `
    declare const service: DflockdService;
    export async function use(): Promise<number> {
      await using lock = await service.acquire('a', { leaseTtlS: 5 });
      const maybe: LockHandle | null = await service.tryAcquire('a');
      const text: string = await service.withLock('a', (held) => held.token);
      const count: number = await service.withLock('a', { onLost: 'ignore', acquireTimeoutS: 1 }, async () => 1);
      const several: readonly string[] = (await service.acquire(['b', 'a'], { onNested: lock })).keys;
      const own: LockHandle = await service.acquire('a', { autoRenew: false, requireFence: true, onNested: 'wait' });
      const ticket: LockTicket = service.enqueue('a', { leaseTtlS: 5, signal: lock.signal });
      const placed: 'acquired' | 'queued' = await ticket.placed;
      const granted: LockHandle | null = await ticket.wait(3);
      await ticket.cancel();
      const ran: number = lock.run(() => 1);
      void [several, own, placed, granted, ran];
      return count + text.length + (maybe?.remainingMs ?? 0) + lock.remainingMs;
    }`,
};

const refused: Record<string, [source: string, message: RegExp]> = {
  'a placeholder beyond the arguments': [
    `class A { @WithLock('order:{1}') async m(id: string): Promise<void> {} }`,
    /\{1\} is not a string, number, bigint or boolean argument/,
  ],
  'a misspelt property': [
    `class A { @WithLock('order:{0.di}') async m(order: Order): Promise<void> {} }`,
    /\{0\.di\} is not a string/,
  ],
  'an object as value': [
    `class A { @WithLock('{0}') async m(order: Order): Promise<void> {} }`,
    /\{0\} is not a string/,
  ],
  'a named placeholder': [
    `class A { @WithLock('{id}') async m(id: string): Promise<void> {} }`,
    /\{id\} is not a string/,
  ],
  'several keys of which one leads nowhere': [
    `class A { @WithLock(['from:{0}', 'to:{2}']) async m(from: string, to: string): Promise<void> {} }`,
    /\{2\} is not a string, number, bigint or boolean argument|not assignable/,
  ],
  'several keys that are numbers': [`class A { @WithLock([1, 2]) async m(): Promise<void> {} }`, /not assignable/],
  'a function that returns several keys that are none': [
    `class A { @WithLock((id) => [id]) async m(id: number): Promise<void> {} }`,
    /not assignable/,
  ],
  'an unknown way to nest': [
    `class A { @WithLock('k', { onNested: 'skip' }) async m(): Promise<void> {} }`,
    /not assignable/,
  ],
  'joining a lock that is not named': [
    `declare const service: DflockdService; void service.acquire('a', { onNested: 'join' });`,
    /not assignable/,
  ],
  'a decorator that names a lock': [
    `declare const lock: LockHandle; class A { @WithLock('k', { onNested: lock }) async m(): Promise<void> {} }`,
    /not assignable/,
  ],
  'a ticket that joins': [
    `declare const lock: LockHandle; declare const service: DflockdService; void service.enqueue('a', { onNested: lock });`,
    /not assignable/,
  ],
  'a ticket for several keys': [
    `declare const service: DflockdService; void service.enqueue(['a', 'b']);`,
    /not assignable/,
  ],
  'a template path through a class parameter': [
    `class A<T extends { id: string }> { @WithLock('{0.id}') async m(x: T): Promise<void> {} }`,
    /not assignable/,
  ],
  'a function that returns no key': [
    `class A { @WithLock((id) => id * 2) async m(id: number): Promise<void> {} }`,
    /not assignable/,
  ],
  'a function of other arguments': [
    `class A { @WithLock((id: number) => 'a' + id) async m(id: string): Promise<void> {} }`,
    /not assignable/,
  ],
  'a method that returns no Promise': [
    `class A { @WithLock('k') m(): number { return 1; } }`,
    /a locked method must return a Promise, an Observable or an AsyncGenerator/,
  ],
  'a method that may or may not return a Promise': [
    `class A { @WithLock('k') m(): Promise<number> | number { return 1; } }`,
    /a locked method must return a Promise/,
  ],
  'a signal that is none': [
    `class A { @WithLock('k', { signal: (id) => id }) async m(id: string): Promise<void> {} }`,
    /not assignable/,
  ],
  'a signal of other arguments': [
    `class A { @WithLock('k', { signal: (request: Request) => request.signal }) async m(id: string): Promise<void> {} }`,
    /not assignable/,
  ],
  'skip where a result is needed': [
    `class A { @WithLock('k', { onBusy: 'skip' }) async m(): Promise<number> { return 1; } }`,
    /not assignable/,
  ],
  'a fallback of another type': [
    `class A { @WithLock('k', { onBusy: () => 'no' }) async m(): Promise<number> { return 1; } }`,
    /not assignable/,
  ],
  'an Observable that does not say so': [
    `class A { @WithLock('k') m(): Observable<number> { return value; } }`,
    /Expected 2 arguments|arguments/,
  ],
  'a Promise of an Observable that does not say so': [
    `class A { @WithLock('k') async m(): Promise<Observable<number>> { return value; } }`,
    /Expected 2 arguments|arguments/,
  ],
  'skip of an Observable': [
    `class A { @WithLock('k', { returns: 'observable', onBusy: 'skip' }) m(): Observable<number> { return value; } }`,
    /not assignable/,
  ],
  'skip of an async generator': [
    `class A { @WithLock('k', { onBusy: 'skip' }) async *m(): AsyncGenerator<number> { yield 1; } }`,
    /not assignable/,
  ],
  'a generator that is not async': [
    `class A { @WithLock('k') *m(): Generator<number> { yield 1; } }`,
    /a locked method must return a Promise, an Observable or an AsyncGenerator/,
  ],
  'a request lock by template': [`class A { @LockRequest('k') async m(): Promise<void> {} }`, /not assignable/],
  'a request lock that skips': [
    `class A { @LockRequest(() => 'k', { onBusy: 'skip' }) async m(): Promise<void> {} }`,
    /not assignable/,
  ],
  'a request lock with an asynchronous key': [
    `class A { @LockRequest(async () => 'k') async m(): Promise<void> {} }`,
    /not assignable/,
  ],
  'an unknown option': [
    `class A { @WithLock('k', { timeout: 5 } as const) async m(): Promise<void> {} }`,
    /timeout|no properties in common/,
  ],
  'a field': [`class A { @WithLock('k') m = async () => {}; }`, /Unable to resolve signature|not assignable|expects/],
  'a cron job with a result': [
    `class A { @CronLock('job', { minHoldS: 30 }) async m(): Promise<number> { return 1; } }`,
    /a @CronLock method must return Promise<void>/,
  ],
  'a cron job without a minimum hold': [`class A { @CronLock('job', {}) async m(): Promise<void> {} }`, /minHoldS/],
  'tryAcquire with a waiting time': [
    `declare const service: DflockdService; void service.tryAcquire('a', { acquireTimeoutS: 1 });`,
    /acquireTimeoutS/,
  ],
};

/** The quick suite asks the latest, which is the fastest; `npm run test:types` all. */
const versions = Object.keys(COMPILERS).filter((version) => process.env.TYPES === 'all' || Number(version) >= 7);

describe.each(versions)('the types of the decorators on TypeScript %s', (version) => {
  const good = Object.entries(accepted);
  const bad = Object.entries(refused);
  let errors: string[][];

  beforeAll(async () => {
    const sources = [...good.map(([, source]) => source), ...bad.map(([, [source]]) => source)];
    errors = await COMPILERS[version]!(sources.map((source) => PRELUDE + source.replace('class A', 'export class A')));
  }, 120_000);

  it.each(good.map(([name], index) => [name, index] as const))('accept %s', (_, index) => {
    expect(errors[index]).toEqual([]);
  });

  it.each(bad.map(([name, [, message]], index) => [name, good.length + index, message] as const))(
    'refuse %s',
    (_, index, message) => {
      expect(errors[index]!.join('\n')).toMatch(message);
    },
  );
});
