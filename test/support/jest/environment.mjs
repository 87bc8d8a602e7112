import { AsyncLocalStorage } from 'node:async_hooks';
import { TestEnvironment } from 'jest-environment-node';

const storage = AsyncLocalStorage.prototype;

/**
 * Node's environment, which disables the AsyncLocalStorages of a spec file at its end. A worker runs many spec files, and
 * for each new promise Node goes through all storages that were ever used in the process.
 */
export default class Environment extends TestEnvironment {
  #used = [];
  // Internal to Node. Node 24 keeps no such list, and does not call it.
  #enable = storage._enable;

  constructor(config, context) {
    super(config, context);
    const [used, enable] = [this.#used, this.#enable];
    if (enable === undefined) return;
    storage._enable = function () {
      if (!this.enabled) used.push(this);
      return enable.call(this);
    };
  }

  async teardown() {
    if (this.#enable !== undefined) storage._enable = this.#enable;
    for (const one of this.#used) one.disable();
    await super.teardown();
  }
}
