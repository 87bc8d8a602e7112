import { expect, it } from '@jest/globals';
import { sqlStateOf } from '../../../lib/sql/sql-state.js';

const driver = Object.assign(new Error('canceling statement'), { code: '55P03' });
const circle: { cause?: unknown } = {};
circle.cause = circle;

it.each([
  ['pg, Knex, Kysely, postgres.js', driver],
  ['TypeORM', Object.assign(new Error('QueryFailedError'), { driverError: driver })],
  ['Drizzle', new Error('Failed query', { cause: driver })],
  ['Sequelize', Object.assign(new Error('DatabaseError'), { parent: driver, original: driver })],
  ['MikroORM', Object.assign(new Error('DriverException'), { previous: driver })],
  [
    'Prisma',
    Object.assign(new Error('Raw query failed'), {
      code: 'P2010',
      meta: { driverAdapterError: { name: 'DriverAdapterError', cause: { originalCode: '55P03' } } },
    }),
  ],
  ['Prisma with its engine', Object.assign(new Error('Raw query failed'), { code: 'P2010', meta: { code: '55P03' } })],
])('the SQLSTATE in an error of %s', (_name, error) => {
  expect(sqlStateOf(error)).toBe('55P03');
});

it.each([
  ['a raise of plpgsql', { code: 'P0001' }, 'P0001'],
  ['a code of Prisma', { code: 'P2034' }, undefined],
  ['a code of Node', { code: 'EPIPE' }, undefined],
  ['a number', { code: 55003 }, undefined],
  ['longer text', { code: '55P03x' }, undefined],
  ['a circle', circle, undefined],
  ['null', null, undefined],
  ['text', '55P03', undefined],
])('%s: %p is %p', (_name, error, state) => {
  expect(sqlStateOf(error)).toBe(state);
});
