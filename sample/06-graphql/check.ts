import { strict as assert } from 'node:assert';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';

interface Answer {
  data?: Record<string, unknown> | null;
  errors?: { extensions: { code: string } }[];
}

const app = await NestFactory.create(AppModule, { logger: ['warn'] });
await app.listen(0, '127.0.0.1');
const url = await app.getUrl();

async function ask(query: string): Promise<Answer> {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query }) });
  return (await answer.json()) as Answer;
}

const bookings = await Promise.all(Array.from({ length: 8 }, () => ask('mutation { book(show: "hamlet") }')));
assert.equal(bookings.filter(({ data }) => data?.book).length, 5);
assert.deepEqual((await ask('{ seats }')).data, { seats: 0 });
console.log('8 bookings of 5 seats at once: 5 succeed');

const settlements = await Promise.all([ask('mutation { settle }'), ask('mutation { settle }')]);
const codes = settlements.flatMap(({ errors }) => errors ?? []).map(({ extensions }) => extensions.code);
assert.deepEqual(codes, ['ACQUIRE_TIMEOUT']);
console.log('two settlements at once: the second is refused with ACQUIRE_TIMEOUT');

await app.close();
