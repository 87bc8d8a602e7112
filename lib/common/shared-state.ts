import { types } from 'node:util';
import { VERSION } from './version.js';

/**
 * What all copies of this package in one process have in common: its ESM and its CommonJS build, or two versions. A copy
 * finds by a global symbol what another has put there.
 */

/**
 * Names the shape of everything that copies share: this state, the brands of classes, metadata, injection tokens, and the
 * interfaces between decorators, holders, runners and scopes. Raise it whenever one of these changes: copies of another
 * layout share nothing with this one, see `refuseOtherLayouts`.
 */
export const LAYOUT = 1;

/** A global symbol that copies of this layout, and no others, mean the same thing by. */
export const sharedSymbol = (name: string): symbol => Symbol.for(`nestjs-dflockd@${LAYOUT}:${name}`);

/** The layouts of all copies, each with a version that has it. Its name and its shape never change. */
const LAYOUTS = Symbol.for('nestjs-dflockd:layouts');
const STATE = sharedSymbol('state');

type Slots = Record<PropertyKey, unknown>;

const isState = (value: unknown): value is Slots => typeof value === 'object' && value !== null;

/**
 * What `home` keeps under that name, made if need be. Undefined where nothing can be put: it is frozen, or the name is
 * taken by something else.
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

/** Where even `process` is frozen, each copy is on its own. */
const kept = <T>(name: symbol, fits: (value: unknown) => value is T, make: () => T): T =>
  keptIn(globalThis, name, fits, make) ?? keptIn(process, name, fits, make) ?? make();

const state = kept(STATE, isState, () => Object.create(null) as Slots);

/** The one thing of that name for all copies. The first of them makes it. */
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
