import { afterEach, describe, expect, it } from '@jest/globals';
import {
  Controller,
  Get,
  Inject,
  Injectable,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
  UseInterceptors,
} from '@nestjs/common';
import { finalize, type Observable } from 'rxjs';
import { currentLock, DflockdModule, DflockdService, LockRequest, WithLock } from '../../lib/entries/index.js';
import { bootHttp, closeAll, start } from './support.js';

afterEach(closeAll);

const turn = () => new Promise((resolve) => setImmediate(resolve));
const isLocked = (): boolean => currentLock()?.isHeld === true;

/** What it sets is seen by others from the commit on, which comes after the method and takes a while. */
class Database {
  private balance = 0;
  readonly lockedCommits: boolean[] = [];

  async read(): Promise<number> {
    await turn();
    return this.balance;
  }

  async commit(balance: number): Promise<void> {
    await turn();
    await turn();
    this.lockedCommits.push(isLocked());
    this.balance = balance;
  }
}

interface HasDatabase {
  readonly database: Database;
}

/** As the decorators of ORMs are: replaces the method by one that begins, calls it, and commits what it returns. */
const Transactional = (): MethodDecorator => (_target, _property, descriptor) => {
  const method = descriptor.value as unknown as (...args: unknown[]) => Promise<number>;
  (descriptor as PropertyDescriptor).value = async function (this: HasDatabase, ...args: unknown[]): Promise<void> {
    await this.database.commit(await method.apply(this, args));
  };
};

class Accounts implements HasDatabase {
  readonly database = new Database();

  @WithLock('account')
  @Transactional()
  async lockAbove(): Promise<number> {
    return (await this.database.read()) + 1;
  }

  @Transactional()
  @WithLock('account')
  async lockBelow(): Promise<number> {
    return (await this.database.read()) + 1;
  }
}

describe('a lock and a transaction', () => {
  const DEPOSITS = 40;

  it('lose nothing with the lock above: it is held until the commit', async () => {
    const accounts = await start(Accounts);
    await Promise.all(Array.from({ length: DEPOSITS }, () => accounts.lockAbove()));
    expect(await accounts.database.read()).toBe(DEPOSITS);
    expect(accounts.database.lockedCommits).toEqual(Array(DEPOSITS).fill(true));
  });

  it('lose updates with the lock below: it is free before the commit, as docs/decorators.md says', async () => {
    const accounts = await start(Accounts);
    await Promise.all(Array.from({ length: DEPOSITS }, () => accounts.lockBelow()));
    expect(await accounts.database.read()).toBeLessThan(DEPOSITS);
    expect(accounts.database.lockedCommits).not.toContain(true);
  });
});

describe('a lock and an interceptor', () => {
  const commits: [path: string, lockIsFree: boolean][] = [];

  @Injectable()
  class Transaction implements NestInterceptor {
    constructor(@Inject(DflockdService) private readonly locks: DflockdService) {}

    intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
      const { url } = context.switchToHttp().getRequest<{ url: string }>();
      const free = () => this.locks.tryAcquire('account', { onNested: 'wait' });
      return next.handle().pipe(
        finalize(() => {
          void free().then(async (lock) => {
            commits.push([url, lock !== null]);
            await lock?.release();
          });
        }),
      );
    }
  }

  @Controller()
  class Web {
    @Get('method')
    @WithLock('account')
    @UseInterceptors(Transaction)
    async method(): Promise<string> {
      return String(isLocked());
    }

    @Get('request')
    @UseInterceptors(Transaction)
    @LockRequest(() => 'account')
    async request(): Promise<string> {
      return String(isLocked());
    }
  }

  it.each([
    ['/method', true],
    ['/request', false],
  ])('%s: free when the interceptor ends: %s', async (path, isFree) => {
    commits.length = 0;
    const { fetch } = await bootHttp({ imports: [DflockdModule.forRoot({ embedded: true })], controllers: [Web] });
    expect(await (await fetch(path)).text()).toBe('true');
    expect(commits).toEqual([[path, isFree]]);
  });
});
