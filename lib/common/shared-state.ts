import { types } from 'node:util';
import { VERSION } from './version.js';

/**
 * State that all copies of this package in one process share, be they its ESM and CommonJS builds or two versions. Each
 * copy finds it by a global symbol.
 */

/**
 * Identifies the shape of everything that copies share: this state, the brands of classes, metadata, injection tokens,
 * and the interfaces between decorators, holders, runners and scopes. Increment it whenever one of these changes:
 * copies with different layouts share nothing, see `refuseOtherLayouts`.
 */
export const LAYOUT = 1;

/** A global symbol that only copies of this layout share. */
export const sharedSymbol = (name: string): symbol => Symbol.for(`nestjs-dflockd@${LAYOUT}:${name}`);

/** The layouts of all copies, each with a package version that has it. Its name and shape never change. */
const LAYOUTS = Symbol.for('nestjs-dflockd:layouts');
const STATE = sharedSymbol('state');

type Slots = Record<PropertyKey, unknown>;

const isState = (value: unknown): value is Slots => typeof value === 'object' && value !== null;

/**
 * What `home` stores under `name`, created if necessary. Undefined if nothing can be stored: `home` is frozen, or
 * something else has taken the name.
 */
function keptIn<T>(home: object, name: symbol, fits: (value: unknown) => value is T, make: () => T): T | undefined {
  try {
    const there = (home as Slots)[name];
    if (fits(there)) return there;
    const made = make();
    Object.defineProperty(home, name, { value: made, configurable: true });
    return made;
  } catch {
    return undefined;
  }
}

/** If even `process` is frozen, each copy has a value of its own. */
const kept = <T>(name: symbol, fits: (value: unknown) => value is T, make: () => T): T =>
  keptIn(globalThis, name, fits, make) ?? keptIn(process, name, fits, make) ?? make();

const state = kept(STATE, isState, () => Object.create(null) as Slots);

/** The object that all copies share under that name. The first copy that asks for it creates it. */
export function shared<T extends object>(name: string, make: () => T): T {
  return keptIn(state, Symbol.for(name), (value): value is T => isState(value), make) ?? make();
}

const layouts = kept(
  LAYOUTS,
  (value): value is Map<unknown, unknown> => types.isMap(value),
  () => new Map(),
);
if (!layouts.has(LAYOUT)) layouts.set(LAYOUT, VERSION);

/** A copy in this process that shares nothing with this one; undefined if there is none. */
export function otherLayout(): { readonly layout: unknown; readonly version: unknown } | undefined {
  if (layouts.size === 1) return undefined;
  for (const [layout, version] of layouts) if (layout !== LAYOUT) return { layout, version };
  return undefined;
}
