// An application in one minified file: its locks work, and its errors keep the names that logs and filters use.
import 'reflect-metadata';
import { strict as assert } from 'node:assert';
import { NestFactory } from '@nestjs/core';
import { AcquireTimeoutError, DflockdModule, DflockdService, LockError, WithLock } from 'nestjs-dflockd';

class Orders {
  busy = false;

  async ship(id) {
    assert.equal(this.busy, false, 'two work on one order');
    this.busy = true;
    await new Promise((resolve) => setTimeout(resolve, 20));
    this.busy = false;
    return `shipped ${id}`;
  }
}
// What a compiler generates: the bundler does not support decorators.
const ship = Object.getOwnPropertyDescriptor(Orders.prototype, 'ship');
WithLock('order:{0}')(Orders.prototype, 'ship', ship);
Object.defineProperty(Orders.prototype, 'ship', ship);

class AppModule {}
const root = { module: AppModule, imports: [DflockdModule.forRoot({ embedded: true })], providers: [Orders] };

const lines = [];
const logger = Object.fromEntries(
  ['log', 'warn', 'error'].map((level) => [level, (...said) => lines.push(said.join(' '))]),
);
const app = await NestFactory.createApplicationContext(root, { logger });
const orders = app.get(Orders);
assert.deepEqual(await Promise.all([orders.ship('7'), orders.ship('7')]), ['shipped 7', 'shipped 7']);

const locks = app.get(DflockdService);
const lock = await locks.acquire('order:7');
const busy = await locks.acquire('order:7', { acquireTimeoutS: 0 }).catch((error) => error);
assert(busy instanceof AcquireTimeoutError && busy instanceof LockError);
assert.equal(busy.name, 'AcquireTimeoutError');
assert.equal(JSON.parse(JSON.stringify(busy)).name, 'AcquireTimeoutError');
assert.match(String(await orders.ship({ id: 7 }).catch((error) => error)), /^LockKeyError: .*such as \{0\.id\}$/);
await lock.release();
await app.close();
assert(
  lines.some((line) => line.includes('DflockdModule dependencies initialized')),
  lines.join('\n'),
);
// The names of classes have indeed been minified.
assert.notEqual(Orders.name, 'Orders');
console.log(`${busy.name}, ${busy.code}`);
