import { strict as assert } from 'node:assert';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';

const app = await NestFactory.create(AppModule, { logger: ['warn'] });
await app.listen(0, '127.0.0.1');
const url = await app.getUrl();
const post = (path: string, body?: object, headers?: Record<string, string>) =>
  fetch(`${url}/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body ?? {}),
  });
const balance = async (id: string) => Number(await (await fetch(`${url}/accounts/${id}`)).text());

const transfers = Array.from({ length: 20 }, (_, i) => {
  const [from, to] = i % 2 ? ['ann', 'bob'] : ['bob', 'ann'];
  return post('transfers', { from, to, amount: i });
});
for (const { status } of await Promise.all(transfers)) assert.equal(status, 201);
assert.deepEqual([await balance('ann'), await balance('bob')], [90, 110]);
console.log('20 transfers back and forth: nothing lost, nobody stuck');

const imports = await Promise.all(['a', 'a', 'b'].map((tenant) => post('imports', {}, { 'x-tenant': tenant })));
assert.deepEqual(imports.map(({ status }) => status).sort(), [201, 201, 423]);
console.log('two imports of one tenant at once: the second is answered 423');

await app.close();
