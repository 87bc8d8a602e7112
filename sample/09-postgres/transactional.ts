import { AsyncLocalStorage } from 'node:async_hooks';
import type { DataSource, EntityManager } from 'typeorm';

const current = new AsyncLocalStorage<EntityManager>();

type Method = (...args: never[]) => Promise<unknown>;

/** Runs a method in a transaction of `this.database`: the decorator of typeorm-transactional, in short. */
export function Transactional() {
  return (_target: object, _name: string, descriptor: TypedPropertyDescriptor<any>): void => {
    const method = descriptor.value as Method;
    descriptor.value = function (this: { database: DataSource }, ...args: never[]) {
      return this.database.transaction((em) => current.run(em, () => method.apply(this, args)));
    };
  };
}

/** The transaction in which a method runs. */
export function transaction(): EntityManager {
  const em = current.getStore();
  if (!em) throw new Error('there is no transaction here');
  return em;
}
