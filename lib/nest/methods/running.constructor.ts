/**
 * The name of the class whose constructor is running on this object, as far as the stack tells; undefined if there is
 * none. Slow, so only for messages.
 */
export function runningConstructor(self: object): string | undefined {
  const classes = new Set<string>();
  for (let p = Object.getPrototypeOf(self) as object | null; p; p = Object.getPrototypeOf(p) as object | null) {
    const { constructor } = p as { constructor?: unknown };
    if (typeof constructor === 'function' && constructor !== Object) classes.add(constructor.name);
  }
  // The innermost one makes the call.
  const running = callSites().filter((site) => site.isConstructor());
  const name = running.map((site) => site.getFunctionName() ?? '').find((one) => classes.has(one));
  return name === '' ? '(anonymous)' : name;
}

/**
 * All call sites: the call may be deeper than the default ten frames. As objects, since source-map tools rewrite the
 * text.
 */
function callSites(): readonly NodeJS.CallSite[] {
  const before = ['stackTraceLimit', 'prepareStackTrace'].map((name) => [name, Reflect.get(Error, name)] as const);
  // Reflect.set: Error may be frozen.
  Reflect.set(Error, 'stackTraceLimit', Infinity);
  Reflect.set(Error, 'prepareStackTrace', (_: Error, sites: NodeJS.CallSite[]) => sites);
  const { stack } = new Error() as { stack?: unknown };
  for (const [name, value] of before) Reflect.set(Error, name, value);
  return Array.isArray(stack) ? (stack as NodeJS.CallSite[]) : [];
}
