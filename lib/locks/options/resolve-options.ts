import type { LockBackend } from '../../backends/backend.js';
import { type EmbeddedConfig, type ShownEmbedded, shownEmbedded } from '../../backends/embedded/embedded-config.js';
import type { RemoteConfig } from '../../backends/dflockd/lanes/config.js';
import { ConfigError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import { checkBounds } from './bounds.js';
import { checkKey } from './keys.js';
import { checkNames, checkObject, wrong } from '../../common/option-checks.js';
import type { LockClientOptions } from './options.js';
import { resolveEmbedded } from './resolve-embedded.js';
import { DEFAULT_RENEW_RATIO, resolveRemote } from './resolve-remote.js';

export type BackendChoice =
  | { readonly kind: 'remote'; readonly config: RemoteConfig }
  | { readonly kind: 'embedded'; readonly config: EmbeddedConfig }
  | { readonly kind: 'custom'; readonly backend: LockBackend };

/** The options of a client, except where its locks live: checked, complete. */
export interface ResolvedSettings {
  readonly namespace: string | undefined;
  readonly acquireTimeoutMs: Ms;
  /** 0: the server's default. */
  readonly leaseMs: Ms;
  readonly startup: 'connect' | 'require' | 'lazy';
  readonly shutdownTimeoutMs: Ms;
  /** How long a body may hold its lock; Infinity: no limit. */
  readonly maxHoldMs: Ms;
  readonly renewRatio: number;
}

/** The options of a client: checked, complete, frozen. */
export interface ResolvedOptions extends ResolvedSettings {
  readonly backend: BackendChoice;
}

/** Options as anybody may see them: of what is secret, only whether it is there. */
export interface ShownOptions extends ResolvedSettings {
  readonly backend:
    | {
        readonly kind: 'remote';
        readonly config: Omit<RemoteConfig, 'auth' | 'tls'> & { readonly auth: boolean; readonly tls: boolean };
      }
    | {
        readonly kind: 'embedded';
        readonly config: ShownEmbedded;
      }
    | { readonly kind: 'custom'; readonly name: string };
}

export function shownOptions(options: ResolvedOptions): ShownOptions {
  return Object.freeze({ ...options, backend: Object.freeze(shownBackend(options.backend)) });
}

function shownBackend(choice: BackendChoice): ShownOptions['backend'] {
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
      return { kind: 'custom', name: choice.backend.name };
  }
}

/** Where the locks live: addresses, or what the backend calls itself. */
export function placesOf(choice: BackendChoice): string[] {
  if (choice.kind === 'remote') return choice.config.endpoints.map(({ label }) => label);
  return [choice.kind === 'custom' ? choice.backend.name : 'embedded'];
}

/** dflockd counts whole seconds: below this a lease leaves hardly any time for its renewal. */
const SHORT_LEASE_MS = 3000;
const DEFAULT_ACQUIRE_TIMEOUT_S = 10;
const DEFAULT_SHUTDOWN_TIMEOUT_S = 10;
const STARTUPS = ['connect', 'require', 'lazy'];

const KNOWN = [
  'servers', 'remote', 'embedded', 'backend', 'acquireTimeoutS', 'leaseTtlS', 'namespace', 'startup', 'shutdownTimeoutS',
  'maxHoldS',
]; // prettier-ignore

/** Milliseconds to wait. @throws ConfigError */
export const checkAcquireTimeout = (value: unknown): Ms | undefined => {
  const seconds = checkBounds('acquireTimeoutS', value);
  return seconds === undefined ? undefined : seconds * 1000;
};

/** Milliseconds of lease. @throws ConfigError */
export const checkLease = (value: unknown): Ms | undefined => {
  const seconds = checkBounds('leaseTtlS', value);
  return seconds === undefined ? undefined : seconds * 1000;
};

/** Milliseconds for which a body may hold its lock. @throws ConfigError */
export const checkMaxHold = (value: unknown): Ms | undefined => {
  const seconds = checkBounds('maxHoldS', value);
  return seconds === undefined ? undefined : seconds * 1000;
};

/** @throws ConfigError that names option and value */
export function resolveOptions(given: LockClientOptions = {}): ResolvedOptions {
  const options = checkObject('options', given);
  checkNames('', options, KNOWN);
  const { startup = 'connect' } = options;
  if (!STARTUPS.includes(startup as string)) throw wrong('startup', `one of ${STARTUPS.join(', ')}`, startup);
  return Object.freeze({
    namespace: checkNamespace(options.namespace),
    acquireTimeoutMs: checkAcquireTimeout(options.acquireTimeoutS) ?? DEFAULT_ACQUIRE_TIMEOUT_S * 1000,
    leaseMs: checkLease(options.leaseTtlS) ?? 0,
    startup: startup as ResolvedOptions['startup'],
    shutdownTimeoutMs: (checkBounds('shutdownTimeoutS', options.shutdownTimeoutS) ?? DEFAULT_SHUTDOWN_TIMEOUT_S) * 1000,
    maxHoldMs: checkMaxHold(options.maxHoldS) ?? Infinity,
    renewRatio: given.remote?.renewRatio ?? DEFAULT_RENEW_RATIO,
    backend: chooseBackend(options),
  });
}

/** What an operator should know of options that are allowed. */
export function warningOf({ leaseMs, backend }: ResolvedOptions): string | undefined {
  if (backend.kind !== 'remote' || leaseMs === 0 || leaseMs >= SHORT_LEASE_MS) return undefined;
  return `leaseTtlS ${leaseMs / 1000}: dflockd counts whole seconds; below 3 s a slow renewal costs the lock`;
}

function checkNamespace(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  try {
    checkKey(value);
  } catch (error) {
    throw wrong('namespace', `text that a key may have (${(error as Error).message})`, value);
  }
  return value;
}

function chooseBackend(options: Readonly<Record<string, unknown>>): BackendChoice {
  const { servers, remote, embedded, backend } = options;
  const ways = ['servers', 'remote', 'embedded', 'backend'].filter((name) => options[name] !== undefined);
  if ((embedded !== undefined || backend !== undefined) && ways.length > 1) {
    throw new ConfigError(`options ${ways.join(' and ')} contradict each other: name one place where locks live`);
  }
  if (backend !== undefined) return { kind: 'custom', backend: checkBackend(backend) };
  if (embedded !== undefined) return { kind: 'embedded', config: resolveEmbedded(embedded) };
  return { kind: 'remote', config: resolveRemote(servers, remote) };
}

const BACKEND_METHODS = [
  'start', 'tryAcquire', 'enqueue', 'renew', 'release', 'abandon', 'stats', 'ping', 'onLink', 'close',
] as const; // prettier-ignore

function checkBackend(value: unknown): LockBackend {
  const backend = checkObject('backend', value);
  const missing = BACKEND_METHODS.filter((name) => typeof backend[name] !== 'function');
  if (missing.length > 0) throw wrong('backend', `a LockBackend (${missing.join(', ')} missing)`, value);
  return value as LockBackend;
}
