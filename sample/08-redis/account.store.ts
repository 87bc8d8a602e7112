import { randomUUID } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';

/** Balances in files that all instances share, in place of a database without transactions. */
@Injectable()
export class AccountStore {
  async balance(id: string): Promise<number> {
    return Number(await readFile(this.file(id), 'utf8').catch(() => '1000'));
  }

  /** Reads, thinks, writes: wrong as soon as two do it at once. */
  async withdraw(id: string, amount: number): Promise<number> {
    const balance = await this.balance(id);
    await pause(2);
    const draft = this.file(randomUUID());
    await writeFile(draft, String(balance - amount));
    await rename(draft, this.file(id));
    return balance - amount;
  }

  private file(id: string): string {
    return join(process.env.DATA ?? '.', `account-${encodeURIComponent(id)}.txt`);
  }
}
