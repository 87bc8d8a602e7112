/**
 * Holds one lock in Redis with each of its clients, and watches closely what its holders are told. Arguments: options as
 * JSON, the places of its clients as JSON.
 */
import type { Contestant, Place } from '../redis/holders/holder.js';
import { Beliefs, block, type Holder } from './beliefs.js';
import { serve } from './serve.js';

export interface RedisHolderOptions {
  readonly contestant: Contestant;
  /** Locks are called `prefix0`, `prefix1`, … */
  readonly prefix: string;
  readonly leaseMs: number;
}

const [optionsText, placesText] = process.argv.slice(2) as [string, string];
const { contestant, prefix, leaseMs } = JSON.parse(optionsText) as RedisHolderOptions;
const places = JSON.parse(placesText) as Place[];

async function connect(place: Place): Promise<Holder> {
  switch (contestant) {
    case 'ours':
    case 'watch':
      return (await import('../redis/holders/ours.js')).holder(place, leaseMs, contestant === 'watch');
    case 'redis-semaphore':
      return (await import('../redis/holders/redis-semaphore.js')).holder(place, leaseMs);
    case 'redlock':
      return (await import('../redis/holders/redlock.js')).holder(place, leaseMs);
  }
}

const beliefs = new Beliefs(await Promise.all(places.map(connect)), prefix);

process.on('unhandledRejection', (error) => {
  // The packages that are compared have some.
  if (contestant === 'ours' || contestant === 'watch') throw error;
});

serve({
  hold: () => beliefs.hold(),
  block,
  account: () => beliefs.account(),
  finish: () => beliefs.close(),
});
