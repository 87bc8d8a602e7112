import { strict as assert } from 'node:assert';
import { fork, type ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { DflockdServer } from 'nestjs-dflockd/daemon';
import { MIN_HOLD_S } from './jobs.js';

const server = new DflockdServer({ port: 0 });
const { host, port } = await server.listen();
const main = fileURLToPath(new URL('main.js', import.meta.url));
const ticks: number[] = [];
const told = new EventEmitter();

function instance(): ChildProcess {
  const child = fork(main, { env: { ...process.env, LOCK_SERVER: `${host}:${port}` }, silent: true });
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const second = /^tick (\d+)$/.exec(line)?.[1];
    if (second) told.emit('tick', ticks.push(Number(second)));
  });
  return child;
}

async function untilTicks(count: number): Promise<void> {
  while (ticks.length < count) await once(told, 'tick', { signal: AbortSignal.timeout(20_000) });
  // A hold ends with its process: if that ends sooner, an instance that is late runs the tick again.
  await pause(MIN_HOLD_S * 1000);
}

const instances = [instance(), instance(), instance()];
await untilTicks(3);
instances[0]!.kill('SIGKILL');
await untilTicks(6);
for (const child of instances.slice(1)) {
  child.kill('SIGTERM');
  await once(child, 'exit');
}
assert.equal(new Set(ticks).size, ticks.length, `ticks ${String(ticks)}`);
console.log(`three instances, one of them killed: ${ticks.length} ticks, none ran twice`);
await server.close();
