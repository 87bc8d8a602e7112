import { ConfigError } from '../../common/errors.js';
import { insteadOf, kindOf } from '../../common/kind-of.js';
import { shown, shownList } from '../../common/shown.js';

/** All texts of this room that developers read. */

const show = (value: unknown): string => {
  if (typeof value === 'string') return `"${shown(value)}"`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`;
  if (typeof value === 'object' && value !== null) return kindOf(value);
  return String(value);
};

export const MESSAGES = {
  // Decorators: places where they cannot be applied
  standardDecorator: (name: string) =>
    `${name} is a TypeScript (legacy) decorator: set "experimentalDecorators": true, as Nest itself needs it`,
  staticMethod: (name: string, method: string) =>
    `${name} on ${method}: static methods have no instance that could reach the module; lock in an instance method or call DflockdService.withLock`,
  notAMethod: (name: string, method: string) =>
    `${name} on ${method}: only methods can be locked, not fields, getters or setters; make it a method`,
  generator: (name: string, method: string) =>
    `${name} on ${method}: a generator cannot wait for a lock; make it an async generator, or return a Promise`,

  // Keys
  badKey: (where: string, key: unknown) =>
    `${where}: the key is ${show(key)}, expected a string, a list of strings or a function`,
  badTemplate: (where: string, key: unknown) => `${where}: a key of the list is ${show(key)}, expected a string`,
  noKeys: (where: string) => `${where}: the list of keys is empty`,
  emptyKey: (where: string) => `${where}: the key is empty`,
  unbalancedBrace: (where: string, key: string) =>
    `${where}: the key template ${show(key)} has an unmatched brace; placeholders look like {0} or {0.id}`,
  badPath: (where: string, key: string, path: string) =>
    `${where}: {${path}} in the key template ${show(key)} is not a path into the arguments; write {0}, {1}, {0.id}, …`,
  touchingPlaceholders: (where: string, key: string) =>
    `${where}: the key template ${show(key)} has adjacent placeholders, so different values could produce the same key; put a character between them`,
  missingValue: (placeholder: string, key: string) =>
    `${placeholder} in the key template ${show(key)} is undefined: the call has no such argument or property`,
  cronTemplate: (key: string) =>
    `the key ${show(key)} has a placeholder, but a cron method is called without arguments`,
  badKeyResult: (where: string, value: unknown) =>
    `${where}: the key function returned ${show(value)}, expected a non-empty string, or a list of them${insteadOf(value)}`,
  asyncKey: (where: string) =>
    `${where}: the key function returned a promise; a key must be known when the method is called`,
  noKeysResult: (where: string) => `${where}: the key function returned an empty list`,

  // Reaching the module
  detached: (method: string) =>
    `${method} has a lock and was called without its object ("this" is missing); call it on the object or bind it`,
  unreachable: (method: string, instance: string) =>
    `${method} has a lock, but its object was not created by Nest, or no DflockdModule${ofInstance(instance)} is visible where it was. ` +
    `Import DflockdModule.forRoot(${instance === 'default' ? '' : `{ instance: ${show(instance)} }`}), and let Nest create the object: list its class in "providers"; ` +
    `in a test, with Test.createTestingModule({ imports: [DflockdModule.forRoot({ embedded: true })], providers: [${method.split('.')[0]}] }), ` +
    `or attachLocks(new ${method.split('.')[0]}(…)) from nestjs-dflockd/testing. ` +
    'If its constructor starts the work that calls it, start that in onModuleInit',
  inConstructor: (method: string, type: string) =>
    `${method} has a lock and was called in the constructor of ${type}, before the object has its DflockdModule; ` +
    'call it in onModuleInit or later',
  noModule: '@LockRequest is used, but there is no DflockdModule in this application; import DflockdModule.forRoot()',
  requestUnreachable: (method: string, instance: string, known: readonly string[]) =>
    `@LockRequest on ${method}: no DflockdModule${ofInstance(instance)} is visible in its module` +
    `; ${there(known)}. Correct the name, or import the module that has it`,
  notReady: (method: string) =>
    `${method} has a lock and was called before DflockdModule was ready, for example from a constructor or a provider's factory; call it in onModuleInit or later`,
  replaced: (method: string) =>
    `${method} has a lock, but DflockdService was replaced by something else (a mock?); ` +
    `keep the real one, with DflockdModule.forRoot({ embedded: true }) in tests`,

  // Boot
  instanceMissing: (method: string, instance: string, module: string, known: readonly string[]) =>
    `${method} uses the lock instance ${show(instance)}, which is not visible in ${module}; ${there(known)}. Correct the name, or import the module that has it into ${module}`,
  noRequest: (method: string) =>
    `@LockRequest on ${method}: this is not a request handler, so nothing would take the lock; use @WithLock`,
  fieldResolver: (method: string) =>
    `@LockRequest on ${method}: Nest runs no interceptors for fields; use @WithLock, or fieldResolverEnhancers: ['interceptors'] in GraphQLModule`,
  twoGlobals: (instance: string) =>
    `two global DflockdModules make the instance ${show(instance)}; import forRoot once, or give one of them another "instance" or "isGlobal: false"`,
  requestScoped: (instance: string) =>
    `DflockdModule.forRootAsync (instance ${show(instance)}): its dependencies are request-scoped, but locks live as long as the application; inject only singletons`,
  noAsyncSource: 'pass one of useFactory, useClass, useExisting',
  misplacedExtra: (option: string, value: unknown) =>
    `${option} (${show(value)}) must be set next to useFactory, not in its result`,
  skipOnResponse: (method: string) =>
    `${method}: onBusy: 'skip' with @Res() would leave the request unanswered; use @Res({ passthrough: true }) or another onBusy`,
  lockOnSse: (method: string) =>
    `${method}: the lock on an @Sse handler would end before the first event; ` +
    `add the option returns: 'observable', which holds it until the stream ends`,
  throwingCron: (method: string) =>
    `${method}: @Cron with a throwing @WithLock runs the job once on every instance, one after the other, or fails with a timeout; ` +
    `use @CronLock(key, { minHoldS }) to run it once per tick`,

  hiddenFilter: (filters: readonly string[]) =>
    `${filters.join(' and ')} ${filters.length === 1 ? 'catches' : 'catch'} lock errors before the exception filter of ` +
    'DflockdModule does, and may answer a busy lock with 500; use lockErrorResponse(error) there and set exceptionFilter: false, ' +
    'name LockError in its @Catch, or extend LockExceptionFilter (docs/errors.md)',

  // Results that are still active after the method has returned
  liveResult: (method: string, kind: string, hint: string) =>
    `${method} has a lock and returned ${kind}, which would go on after the lock is released; ${hint}`,

  noObservable: (method: string, result: unknown) =>
    `${method} has a lock with returns: 'observable' and returned ${show(result)}; return an Observable, or leave the option out`,
  observableGenerator: "returns: 'observable' on an async generator, which needs no such option",
  skipOnStream: (kind: string) =>
    `onBusy: 'skip' on a method that returns ${kind}: its consumers cannot tell a skipped call from an empty one; ` +
    `use onBusy: () => … to return another`,

  // Log
  closing: 'the application is closing; locks work until its servers are closed',
  connected: (server: string) => `connected to ${server}`,
  disconnected: (server: string, error?: Error) =>
    `connection to ${server} lost${error ? `: ${error.message}` : ''}; reconnecting`,
  degraded: (server: string, detail: string) => `${server}: ${detail}`,
  lost: (keys: readonly string[], reason: string, heldMs: number, server: string) =>
    `lock lost: ${shownList(keys)} (${reason}) after ${Math.round(heldMs)} ms, server ${server}`,
  manyLost: (
    count: number,
    keys: readonly string[],
    reasons: ReadonlyMap<string, number>,
    servers: readonly string[],
  ) => {
    const why = [...reasons].map(([reason, times]) => (reasons.size > 1 ? `${reason} ${times}` : reason)).join(', ');
    const where = `${servers.length > 1 ? 'servers' : 'server'} ${shownList(servers)}`;
    return `${count} locks lost: ${shownList(keys)} (${why}), ${where}`;
  },
  skipped: (keys: readonly string[]) => `skipped, lock is busy: ${shownList(keys)}`,
} as const;

/** Prefixes the place to the message of a check. @throws ConfigError */
export function located<R>(where: string, check: () => R): R {
  try {
    return check();
  } catch (cause) {
    throw new ConfigError(`${where}: ${(cause as Error).message}`, { cause });
  }
}

function there(known: readonly string[]): string {
  return known.length ? `there ${known.length === 1 ? 'is' : 'are'} ${known.map(show).join(', ')}` : 'there is none';
}

function ofInstance(instance: string): string {
  return instance === 'default' ? '' : ` of instance ${show(instance)}`;
}
