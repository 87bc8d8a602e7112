import { setTimeout as pause } from 'node:timers/promises';
import { Args, Int, Mutation, Query, Resolver } from '@nestjs/graphql';
import { WithLock } from 'nestjs-dflockd';

@Resolver()
export class SeatsResolver {
  private free = 5;

  @Query(() => Int)
  seats(): number {
    return this.free;
  }

  /** One booking of a show at a time. */
  @Mutation(() => Boolean)
  @WithLock('show:{0}')
  async book(@Args('show') _show: string): Promise<boolean> {
    const { free } = this;
    await pause(5);
    if (free === 0) return false;
    this.free = free - 1;
    return true;
  }

  /** Busy: errors[0].extensions.code is ACQUIRE_TIMEOUT. */
  @Mutation(() => String)
  @WithLock('settlement', { acquireTimeoutS: 0 })
  async settle(): Promise<string> {
    await pause(200);
    return 'settled';
  }
}
