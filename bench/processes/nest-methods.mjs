// A Nest application with an unlocked and a locked method on the embedded engine, called one after the other.
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { answer, measured } from '../support/child.mjs';

const { DflockdModule, WithLock } = await import(process.argv[2]);

class Orders {
  async open(id) {
    return id;
  }
  async locked(id) {
    return id;
  }
}
const descriptor = Object.getOwnPropertyDescriptor(Orders.prototype, 'locked');
WithLock('order:{0}')(Orders.prototype, 'locked', descriptor);
Object.defineProperty(Orders.prototype, 'locked', descriptor);

const app = await NestFactory.createApplicationContext(
  {
    module: class App {},
    imports: [DflockdModule.forRoot({ embedded: true, logger: false })],
    providers: [Orders],
  },
  { logger: false },
);
const orders = app.get(Orders);
const ids = Array.from({ length: 100 }, (_, i) => `id-${i}`);

/** Microseconds of one call. */
async function costOf(method, ms) {
  const { count, ms: took } = await calls(method, ms);
  return (took / count) * 1000;
}

const calls = (method, ms) =>
  measured(async () => {
    const end = performance.now() + ms;
    let count = 0;
    do {
      for (const id of ids) await orders[method](id);
      count += ids.length;
    } while (performance.now() < end);
    return count;
  });

answer({
  async slice({ method, ms }) {
    const slice = await calls(method, ms);
    if (method === 'open') return slice;
    const open = await costOf('open', ms / 4);
    return { ...slice, measures: { 'µs added': (slice.ms / slice.count) * 1000 - open } };
  },
});
