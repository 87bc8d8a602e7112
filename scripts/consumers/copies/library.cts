// A CommonJS library, which loads the CommonJS build: its methods get their locks from the module of the application.
import { CronLock, currentLock, LockError, WithLock } from 'nestjs-dflockd';

export class Jobs {
  runs = 0;

  @WithLock('job', { onBusy: 'skip' })
  async skips(): Promise<number | undefined> {
    return ++this.runs;
  }

  @CronLock('job', { minHoldS: 0 })
  async ticks(): Promise<void> {
    this.runs++;
  }

  @WithLock('job', { acquireTimeoutS: 0 })
  async throws(): Promise<number> {
    return ++this.runs;
  }

  @WithLock('other')
  async current(): Promise<string | undefined> {
    return currentLock()?.keys.join();
  }
}

export const CommonJsLockError: new (...args: never[]) => Error = LockError;
