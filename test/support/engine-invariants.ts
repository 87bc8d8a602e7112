import type { ExpiryHeap, Expiring } from '../../lib/common/expiry-heap.js';
import type { LinkedList, Linked } from '../../lib/common/linked-list.js';
import type { Engine } from '../../lib/core/engine.js';
import type { ManyHolders, OneHolder } from '../../lib/core/holders.js';
import type { Hold, Resource, Waiter } from '../../lib/core/resource.js';
import type { ResourceTable } from '../../lib/core/resource-table.js';
import type { Session } from '../../lib/core/session.js';

/** The engine's private parts; this file is the only one that looks at them. */
interface Inside {
  table: Pick<ResourceTable, 'size' | 'get' | 'walk'> & { idle: LinkedList<Resource> };
  leases: { running: ExpiryHeap<Resource>; lapsed: Set<Resource> };
  waits: ExpiryHeap<Waiter>;
  sessions: Set<Session>;
  leaving: ReadonlySet<unknown>;
  options: { maxLocks: number; maxWaiters: number };
  draining: boolean;
}

const inside = (engine: Engine): Inside => engine as unknown as Inside;

function must(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`broken invariant: ${what}`);
}

const itemsOf = <T extends Expiring>(heap: ExpiryHeap<T>): T[] => (heap as unknown as { items: T[] }).items;

function checkHeap<T extends Expiring>(heap: ExpiryHeap<T>, name: string): void {
  itemsOf(heap).forEach((item, slot, all) => {
    must(item.slot === slot, `${name}: slot ${slot} knows its place`);
    must(slot === 0 || all[(slot - 1) >> 1]!.due <= item.due, `${name}: slot ${slot} is not due before the one above`);
  });
}

function checkList<T extends Linked<T>>(list: LinkedList<T>, name: string): T[] {
  const items = [...list];
  must(items.length === list.size, `${name}: size`);
  items.forEach((item, i) => {
    must(item.prev === items[i - 1] && item.next === items[i + 1], `${name}: links of element ${i}`);
  });
  return items;
}

function checkResource(res: Resource, { leases, options, draining }: Inside): void {
  const name = `${res.kind} ${res.key}`;
  const holds = [...(res.holders as OneHolder<Hold> | ManyHolders<Hold>)];
  const queue = checkList(res.queue, `queue of ${name}`);
  must(holds.length === res.holders.size, `${name}: number of holders`);
  must(holds.length <= Number(res.limit), `${name}: more holders than slots`);
  must(new Set(holds.map((hold) => hold.token)).size === holds.length, `${name}: two holders with one token`);
  for (const hold of holds) must(res.holders.get(hold.token) === hold, `${name}: a holder is found by its token`);
  must(
    draining || queue.length === 0 || holds.length >= Number(res.limit),
    `${name}: somebody waits for a slot that is free`,
  );
  must(options.maxWaiters === 0 || queue.length <= options.maxWaiters, `${name}: queue longer than max-waiters`);
  must((holds.length + queue.length === 0) === (res.idleSince !== undefined), `${name}: idle or not`);
  const running = holds.filter((hold) => !hold.lapsed);
  const due = Math.min(Infinity, ...running.map((hold) => hold.due));
  must(res.holders.nextDue === due, `${name}: next end of a lease`);
  must(res.slot >= 0 === due < Infinity && (res.slot < 0 || res.due === due), `${name}: lease book, running`);
  must(leases.lapsed.has(res) === running.length < holds.length, `${name}: lease book, lapsed`);
}

function checkSession(session: Session, known: ReadonlySet<Resource>): void {
  const name = `session ${session.id}`;
  must(!session.closed, `${name}: closed and still open`);
  for (const [op, waiter] of session.waiting) {
    must(waiter.op === op && waiter.session === session, `${name}: operation ${op} waits for itself`);
    must([...waiter.res.queue].includes(waiter), `${name}: operation ${op} stands in its queue`);
  }
  for (const [res, ticket] of session.tickets) {
    must(known.has(res), `${name}: two-phase state of a forgotten key`);
    const { waiter, hold } = ticket;
    must((waiter === undefined) !== (hold === undefined), `${name}: two-phase state is QUEUED or GRANTED`);
    must(
      !waiter || (waiter.ticket === ticket && [...res.queue].includes(waiter)),
      `${name}: QUEUED stands in the queue`,
    );
    must(!hold || (hold.ticket === ticket && res.holders.get(hold.token) === hold), `${name}: GRANTED holds a slot`);
  }
}

/** Throws if the engine's books contradict each other. Looks at everything, so it is slow. */
export function checkInvariants(engine: Engine): void {
  const parts = inside(engine);
  const { table, leases, waits, sessions } = parts;
  const resources = [...table.walk()].map((res) => res!);
  const known = new Set(resources);
  must(table.size === resources.length && table.size <= parts.options.maxLocks, 'number of resources');
  for (const res of resources) {
    must(table.get(res.kind, res.key) === res, `${res.kind} ${res.key} is found by its key`);
    checkResource(res, parts);
  }
  const idle = checkList(table.idle, 'idle resources');
  must(idle.length === resources.filter((res) => res.idleSince !== undefined).length, 'number of idle resources');
  idle.forEach((res, i) => {
    must(known.has(res) && (i === 0 || idle[i - 1]!.idleSince! <= res.idleSince!), 'idle resources, oldest first');
  });
  checkHeap(leases.running, 'lease book');
  checkHeap(waits, 'waits');
  must(
    itemsOf(leases.running).every((res) => known.has(res)),
    'lease book: a forgotten key',
  );
  must(
    [...leases.lapsed].every((res) => known.has(res)),
    'lapsed leases: a forgotten key',
  );

  const holds = resources.flatMap((res) => [...(res.holders as Iterable<Hold>)]);
  const waiters = resources.flatMap((res) => [...res.queue]);
  for (const hold of holds) must([...hold.session.holds].includes(hold), 'a hold is known to its session');
  for (const waiter of waiters) {
    const { session, op, ticket } = waiter;
    must(sessions.has(session), 'a waiter of a closed session');
    must(op === undefined ? ticket !== undefined : session.waiting.get(op) === waiter, 'a waiter that nobody answers');
    must(!ticket || session.tickets.get(waiter.res) === ticket, 'a waiter with a forgotten two-phase state');
    must(waiter.slot < 0 || op !== undefined, 'a deadline for a waiter without operation');
  }
  const inQueues = new Set(waiters);
  must(
    itemsOf(waits).every((waiter) => inQueues.has(waiter)),
    'a deadline for somebody who does not wait',
  );
  for (const session of sessions) {
    checkList(session.holds, `holds of session ${session.id}`);
    must(
      [...session.holds].every((hold) => hold.res.holders.get(hold.token) === hold),
      'a session holds what is gone',
    );
    checkSession(session, known);
  }
}

/** How much the engine remembers of each sort; all zero once everybody has gone and all leases and keys are over. */
export function footprint(engine: Engine): Record<string, number> {
  const { table, leases, waits, sessions, leaving } = inside(engine);
  return {
    resources: table.size,
    idle: table.idle.size,
    running: leases.running.size,
    lapsed: leases.lapsed.size,
    waits: waits.size,
    sessions: sessions.size,
    leaving: leaving.size,
  };
}

/** How many slots are held, and how many waiters stand in queues. */
export function occupancy(engine: Engine): { held: number; waiting: number } {
  let held = 0;
  let waiting = 0;
  for (const res of inside(engine).table.walk()) {
    held += res?.holders.size ?? 0;
    waiting += res?.queue.size ?? 0;
  }
  return { held, waiting };
}
