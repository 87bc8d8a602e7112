import { EntitySchema, IsolationLevel, MikroORM } from '@mikro-orm/postgresql';
import { PrismaPg } from '@prisma/adapter-pg';
import { DataSource, EntitySchema as TypeOrmSchema } from 'typeorm';
import type { Inside, Library, Rows } from './library.js';
import { PrismaClient } from './prisma-client.js';

const PATIENCE_MS = 60_000;

const schema = new TypeOrmSchema<{ id: number }>({ name: 'account', columns: { id: { type: 'int', primary: true } } });

export const typeOrm: Library = {
  name: 'TypeORM',
  async connect(url, poolSize) {
    const source = await new DataSource({ type: 'postgres', url, poolSize, entities: [schema] }).initialize();
    const runner = source.createQueryRunner();
    return {
      transaction: (body, isolation) => {
        const run = (inside: Inside['tx'] & { query(text: string): Promise<Rows> }): ReturnType<typeof body> =>
          body({ tx: inside, query: (text) => inside.query(text) });
        return isolation ? source.transaction('SERIALIZABLE', run) : source.transaction(run);
      },
      outside: {
        dataSource: source,
        manager: source.manager,
        runner,
        managerOfRunner: runner.manager,
        repository: source.getRepository(schema),
      },
      async close() {
        await runner.release();
        await source.destroy();
      },
    };
  },
};

export const prismaLibrary: Library = {
  name: 'Prisma',
  async connect(connectionString, max) {
    const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString, max }) });
    return {
      transaction: (body, isolation) =>
        prisma.$transaction((tx: never) => body({ tx, query: (text) => (tx as any).$queryRawUnsafe(text) }), {
          maxWait: PATIENCE_MS,
          timeout: PATIENCE_MS,
          ...(isolation && { isolationLevel: 'Serializable' }),
        }),
      outside: { prisma, extended: prisma.$extends({}) },
      close: () => prisma.$disconnect(),
    };
  },
};

const account = new EntitySchema<{ id: number }>({
  name: 'Account',
  properties: { id: { type: 'number', primary: true } },
});

export const mikroOrm: Library = {
  name: 'MikroORM',
  async connect(clientUrl, max) {
    const orm = await MikroORM.init({ clientUrl, entities: [account], pool: { min: 0, max } });
    return {
      transaction: (body, isolation) =>
        orm.em
          .fork()
          .transactional(
            (em) => body({ tx: em, query: (text) => em.execute(text) }),
            isolation ? { isolationLevel: IsolationLevel.SERIALIZABLE } : {},
          ),
      outside: { globalEm: orm.em, em: orm.em.fork() },
      close: () => orm.close(),
    };
  },
};
