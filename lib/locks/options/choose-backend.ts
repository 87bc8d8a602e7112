import type { BackendFactory, BackendHost, LockBackend } from '../../backends/backend.js';
import type { RemoteConfig } from '../../backends/dflockd/lanes/config.js';
import { GuardedBackend } from '../../backends/guarded-backend.js';
import { resolveRemote } from '../../backends/dflockd/options.js';
import { RemoteBackend } from '../../backends/dflockd/remote.js';
import { EmbeddedBackend } from '../../backends/embedded/embedded.js';
import {
  type EmbeddedConfig,
  resolveEmbedded,
  type ShownEmbedded,
  shownEmbedded,
} from '../../backends/embedded/options.js';
import { ConfigError, LockError } from '../../common/errors.js';
import { wrong } from '../../common/option-checks.js';
import { shared } from '../../common/shared-state.js';
import { shown } from '../../common/shown.js';
import { isThenable } from '../../common/thenables.js';
import { limitsOf } from './backend-limits.js';

/** Where the locks live. Only this file distinguishes the cases. */
export type BackendChoice =
  | { readonly kind: 'remote'; readonly config: RemoteConfig }
  | { readonly kind: 'embedded'; readonly config: EmbeddedConfig }
  | { readonly kind: 'custom'; readonly backend: LockBackend | BackendFactory };

/** The choice as it may be shown: for a secret, only whether it is set. */
export type ShownBackend =
  | {
      readonly kind: 'remote';
      readonly config: Omit<RemoteConfig, 'auth' | 'tls'> & { readonly auth: boolean; readonly tls: boolean };
    }
  | {
      readonly kind: 'embedded';
      readonly config: ShownEmbedded;
    }
  | { readonly kind: 'custom'; readonly name: string };

/** @throws ConfigError that names option and value */
export function chooseBackend(options: Readonly<Record<string, unknown>>): BackendChoice {
  const { servers, remote, embedded, backend } = options;
  const ways = ['servers', 'remote', 'embedded', 'backend'].filter((name) => options[name] !== undefined);
  if ((embedded !== undefined || backend !== undefined) && ways.length > 1) {
    throw new ConfigError(`options ${ways.join(' and ')} contradict each other: set only one of them`);
  }
  if (typeof backend === 'function') return { kind: 'custom', backend: backend as BackendFactory };
  if (backend !== undefined) return { kind: 'custom', backend: checkBackend('a LockBackend', backend) };
  if (embedded !== undefined) return { kind: 'embedded', config: resolveEmbedded(embedded) };
  return { kind: 'remote', config: resolveRemote(servers, remote) };
}

/** @param name the backend's own name */
export function shownBackend(choice: BackendChoice, name: string): ShownBackend {
  switch (choice.kind) {
    case 'remote': {
      const { auth, tls } = choice.config;
      return {
        kind: 'remote',
        config: Object.freeze({ ...choice.config, auth: auth !== undefined, tls: tls !== undefined }),
      };
    }
    case 'embedded':
      return { kind: 'embedded', config: shownEmbedded(choice.config) };
    case 'custom':
      return { kind: 'custom', name };
  }
}

/** Where the locks live: addresses, or the backend's own name. */
export const placesOf = (choice: BackendChoice, name: string): string[] =>
  choice.kind === 'remote' ? choice.config.endpoints.map(({ label }) => label) : [name];

/** A remark for operators about that place, although nothing is wrong with it. */
export const remarkOn = (choice: BackendChoice): string | undefined =>
  choice.kind === 'embedded' && !choice.config.listen
    ? 'locks are local to this process; set embedded.listen or servers to share them'
    : undefined;

/**
 * Creates the backend of one client, not yet connected.
 * @throws ConfigError for a backend that belongs to another client; the error that a factory throws
 */
export function makeBackend(choice: BackendChoice, host: BackendHost): LockBackend {
  const { clock, entropy } = host;
  switch (choice.kind) {
    case 'remote':
      return new RemoteBackend(choice.config, clock, entropy);
    case 'embedded':
      return new EmbeddedBackend(choice.config, clock, entropy);
    case 'custom': {
      const { backend } = choice;
      return typeof backend === 'function'
        ? own(madeBy(backend, host), host, MAKE_ANOTHER)
        : own(backend, host, GIVE_A_FACTORY);
    }
  }
}

const GIVE_A_FACTORY = 'pass a factory, (host) => LockBackend, so that each client makes its own';
const MAKE_ANOTHER = 'the factory must make a new one on each call';

/**
 * Backends owned by clients, in all copies of this package. A client closes its backend, so no other client can use it.
 */
const owned = shared('owned-backends', () => new WeakSet<LockBackend>());

function own(backend: LockBackend, host: BackendHost, cure: string): LockBackend {
  if (owned.has(backend)) {
    throw new ConfigError(`option backend: "${shown(backend.name)}" belongs to another client already; ${cure}`);
  }
  const guarded = new GuardedBackend(backend, host);
  // Checked first, so that a refused backend stays free.
  limitsOf(guarded);
  owned.add(backend);
  return guarded;
}

function madeBy(factory: BackendFactory, host: BackendHost): LockBackend {
  let made: unknown;
  try {
    made = factory(host);
  } catch (cause) {
    if (cause instanceof LockError) throw cause;
    throw new ConfigError(`option backend: the factory threw ${shown(String(cause))}`, { cause });
  }
  // Its rejection would come too late to be reported.
  if (isThenable(made)) void made.then(undefined, () => undefined);
  return checkBackend('a factory that returns a LockBackend', made);
}

const METHODS = [
  'start', 'tryAcquire', 'enqueue', 'renew', 'release', 'abandon', 'stats', 'ping', 'onLink', 'close',
] as const; // prettier-ignore

function checkBackend(expected: string, value: unknown): LockBackend {
  if (typeof value !== 'object' || value === null) throw wrong('backend', expected, value);
  const backend = value as Readonly<Record<string, unknown>>;
  const missing = METHODS.filter((name) => typeof backend[name] !== 'function');
  if (missing.length > 0) throw wrong('backend', `${expected} (${missing.join(', ')} missing)`, value);
  return value as LockBackend;
}
