import { strict as assert } from 'node:assert';
import type { AddressInfo, Server } from 'node:net';
import { NestFactory } from '@nestjs/core';
import { ClientProxyFactory, Transport } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import { AppModule } from './app.module.js';

const host = '127.0.0.1';
const transport = Transport.TCP;
const app = await NestFactory.createMicroservice(AppModule, {
  transport,
  options: { host, port: 0 },
  logger: ['warn'],
});
await app.listen();
const { port } = app.unwrap<Server>().address() as AddressInfo;
const client = ClientProxyFactory.create({ transport, options: { host, port } });
const send = (pattern: string, data: object = {}) => lastValueFrom(client.send<unknown>(pattern, data));

const reserved = await Promise.all(Array.from({ length: 8 }, () => send('reserve', { article: 'a', count: 2 })));
assert.equal(reserved.filter(Boolean).length, 5);
console.log('8 reservations of 2 out of 10 at once: 5 succeed');

const audits = await Promise.allSettled([send('audit'), send('audit')]);
assert.deepEqual(audits.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
const refused = audits.find((audit) => audit.status === 'rejected')!;
assert.equal((refused.reason as { code: string }).code, 'ACQUIRE_TIMEOUT');
console.log('two audits at once: the second is refused with ACQUIRE_TIMEOUT');

client.emit('count', {});
client.emit('count', {});
const deadline = Date.now() + 10_000;
while ((await send('counts')) === 0) assert.ok(Date.now() < deadline, 'nothing was counted');
// Whoever would have waited would be at work now.
await new Promise((resolve) => setTimeout(resolve, 300));
assert.equal(await send('counts'), 1);
console.log('two events at once: one is dropped');

client.close();
await app.close();
