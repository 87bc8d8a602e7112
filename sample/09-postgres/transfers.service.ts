import { Injectable } from '@nestjs/common';
import { WithLock } from 'nestjs-dflockd';
import { lockInTransaction } from 'nestjs-dflockd/postgres';
import type { EntityManager } from 'typeorm';
import { Account } from './account.entity.js';
import { NAMESPACE } from './app.constants.js';
import { Database } from './database.js';
import { transaction, Transactional } from './transactional.js';

/** Three ways to move money from one account to another. The first two never lose any, and exclude each other. */
@Injectable()
export class TransfersService {
  constructor(readonly database: Database) {}

  /** The transaction holds the locks: they are free once it has been committed. */
  async inTransaction(from: string, to: string, amount: number): Promise<void> {
    await this.database.transaction(async (em) => {
      // Always in the same order: two transfers in opposite directions would wait for each other.
      for (const id of [from, to].sort()) {
        await lockInTransaction(em, `account:${id}`, { namespace: NAMESPACE, timeoutMs: 10_000 });
      }
      await move(em, from, to, amount);
    });
  }

  /** The locks are around the transaction: the upper decorator is the outer one. */
  @WithLock(['account:{0}', 'account:{1}'])
  @Transactional()
  async underLock(from: string, to: string, amount: number): Promise<void> {
    await move(transaction(), from, to, amount);
  }

  /** Wrong: the locks are released before the commit, and the next holder reads the old balances. */
  @Transactional()
  @WithLock(['account:{0}', 'account:{1}'])
  async inWrongOrder(from: string, to: string, amount: number): Promise<void> {
    await move(transaction(), from, to, amount);
  }
}

/** Reads, computes, writes: wrong as soon as two do it at once. */
async function move(em: EntityManager, from: string, to: string, amount: number): Promise<void> {
  const payer = await em.findOneByOrFail(Account, { id: from });
  const payee = await em.findOneByOrFail(Account, { id: to });
  await em.update(Account, from, { balance: payer.balance - amount });
  await em.update(Account, to, { balance: payee.balance + amount });
}
