import { describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { brand } from '../../../lib/common/brand.js';
import * as errors from '../../../lib/common/errors.js';
import { VERSION } from '../../../lib/common/version.js';

/** Two classes as two copies of the package would have them. */
function copy() {
  class Base {}
  class Derived extends Base {}
  class Sibling extends Base {}
  brand(Base, 'Base');
  brand(Derived, 'Derived');
  brand(Sibling, 'Sibling');
  return { Base, Derived, Sibling };
}

const one = copy();
const two = copy();

describe('a branded class', () => {
  it('has instances of the same class of another copy, and of its subclasses', () => {
    expect(new one.Derived() instanceof two.Derived).toBe(true);
    expect(new one.Derived() instanceof two.Base).toBe(true);
    expect(new one.Base() instanceof two.Base).toBe(true);
  });

  it('has no instances of its base, nor of its siblings', () => {
    expect(new one.Base() instanceof two.Derived).toBe(false);
    expect(new one.Sibling() instanceof two.Derived).toBe(false);
    expect(new one.Base() instanceof one.Derived).toBe(false);
  });

  it('leaves the subclasses of a user to the prototype chain', () => {
    class Mine extends one.Derived {}
    class Same extends two.Derived {}
    expect(new Mine() instanceof Mine).toBe(true);
    expect(new Mine() instanceof two.Derived).toBe(true);
    expect(new one.Derived() instanceof Mine).toBe(false);
    expect(new two.Derived() instanceof Mine).toBe(false);
    expect(new Same() instanceof Mine).toBe(false);
  });

  it('takes a brand only from a prototype, as instanceof does', () => {
    const mark = Object.getOwnPropertySymbols(one.Base.prototype)[0]!;
    expect({ [mark]: true } instanceof two.Base).toBe(false);
    expect(one.Base.prototype instanceof two.Base).toBe(false);
    expect(one.Derived.prototype instanceof two.Base).toBe(true);
  });

  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const closed = new Proxy(
    {},
    {
      getPrototypeOf: () => {
        throw new Error('not for you');
      },
    },
  );
  const strangers: [string, unknown][] = [
    ['undefined', undefined],
    ['null', null],
    ['a number', 1],
    ['a text', 'text'],
    ['a symbol', Symbol()],
    ['an object without prototype', Object.create(null)],
    ['a frozen object', Object.freeze({})],
    ['a function', () => undefined],
    ['a revoked proxy', revoked.proxy],
    ['a proxy that shows nothing', closed],
  ];
  it.each(strangers)('does not have %s, and does not throw', (_, value) => {
    expect(value instanceof one.Base).toBe(false);
    expect(value instanceof class extends one.Base {}).toBe(false);
  });

  it('sees frozen instances, proxies of instances and instances in another prototype chain', () => {
    expect(Object.freeze(new one.Derived()) instanceof two.Derived).toBe(true);
    expect(new Proxy(new one.Derived(), {}) instanceof two.Derived).toBe(true);
    expect(Object.create(new one.Derived()) instanceof two.Derived).toBe(true);
  });
});

describe('errors', () => {
  it('are branded, each class by its own name', () => {
    for (const [name, type] of Object.entries(errors)) {
      const marks = Object.getOwnPropertySymbols(type.prototype).map((mark) => mark.description);
      expect(marks).toContain(`nestjs-dflockd@1:class:${name}`);
    }
  });
});

describe('the version', () => {
  it('is that of the package', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
    expect(VERSION).toBe(version);
  });
});
