// The least that a hand-over over Redis needs, with two connections of ioredis and two scripts of a few lines: no lease that is
// renewed, no fence, no place that ends with its process, no timeout. No lock: it shows what one may cost.
import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';

const LEASE_MS = 30_000;
const CHANNEL_LENGTH = 16;

const ACQUIRE = `
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ${LEASE_MS}) then return 1 end
redis.call('RPUSH', KEYS[2], ARGV[1])
return 0`;

/** The next caller is told on the channel with which its name begins. */
const RELEASE = `
local next = redis.call('LPOP', KEYS[2])
if not next then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], next, 'PX', ${LEASE_MS})
return redis.call('PUBLISH', string.sub(next, 1, ${CHANNEL_LENGTH}), next)`;

/** @param {{ host: string, port: number }} where @returns as of the other lockers */
export async function openHot({ host, port }) {
  const commands = new Redis({ host, port });
  const messages = new Redis({ host, port });
  commands.defineCommand('take', { numberOfKeys: 2, lua: ACQUIRE });
  commands.defineCommand('pass', { numberOfKeys: 2, lua: RELEASE });
  const channel = randomBytes(CHANNEL_LENGTH / 2).toString('hex');
  const waiting = new Map();
  const granted = (name) => {
    const resolve = waiting.get(name);
    waiting.delete(name);
    resolve?.();
  };
  messages.on('message', (_channel, name) => granted(name));
  await messages.subscribe(channel);
  let callers = 0;
  return (key) => {
    const queue = `${key}:queue`;
    const release = () => commands.pass(key, queue);
    const name = channel + ++callers;
    return new Promise((resolve, reject) => {
      waiting.set(name, () => resolve(release));
      commands.take(key, queue, name).then((taken) => taken && granted(name), reject);
    });
  };
}
