import { strict as assert } from 'node:assert';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Test, type TestingModule } from '@nestjs/testing';
import { AcquireTimeoutError, DflockdService, LockLostError, LockUnavailableError } from 'nestjs-dflockd';
import { attachLocks, TestLocks } from 'nestjs-dflockd/testing';
import { AppModule } from './app.module.js';
import { OrdersService } from './orders.service.js';

describe('OrdersService', () => {
  let app: TestingModule;
  let orders: OrdersService;
  let locks: TestLocks;

  beforeEach(async () => {
    locks = new TestLocks();
    app = await Test.createTestingModule({ imports: [AppModule] })
      .overrideProvider(DflockdService)
      .useValue(locks.service)
      .compile();
    await app.init();
    orders = app.get(OrdersService);
  });
  afterEach(() => app.close());

  it('gives up when somebody else has the order', async () => {
    await locks.occupy('order:7');
    const charge = assert.rejects(orders.charge('7'), AcquireTimeoutError);
    await locks.advance(5000);
    await charge;
    assert.deepEqual(orders.log, []);
  });

  it('waits for the order', async () => {
    const other = await locks.occupy('order:7');
    const charge = orders.charge('7');
    assert.deepEqual(locks.waiting(), ['order:7']);
    await other.release();
    assert.equal(await charge, 'charged 7');
    assert.equal(locks.isHeld('order:7'), false);
  });

  it('stops when the lock is lost', async () => {
    const running = assert.rejects(orders.export(), LockLostError);
    await locks.lose('export');
    await running;
    assert.deepEqual(orders.log, ['export stopped']);
  });

  it('charges nothing without a lock server', async () => {
    locks.partition();
    const charge = assert.rejects(orders.charge('7'), LockUnavailableError);
    await locks.advance(5000);
    await charge;
  });

  it('runs once in a tick', async () => {
    await orders.nightly();
    await orders.nightly();
    assert.deepEqual(orders.log, ['nightly']);
    await locks.advance(30_000);
    await orders.nightly();
    assert.deepEqual(orders.log, ['nightly', 'nightly']);
  });
});

it('works without Nest, too', async () => {
  const orders = attachLocks(new OrdersService());
  assert.equal(await orders.charge('7'), 'charged 7');
});
