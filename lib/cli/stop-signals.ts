// main.ts imports this first, before anything else is loaded: without a listener, a signal kills the process or, if it is
// process 1, is lost.
let stopped = false;
let stop = (): void => {};
const stopNow = (): void => {
  stopped = true;
  stop();
};
process.on('SIGINT', stopNow);
process.on('SIGTERM', stopNow);
// On this signal Node would open its inspector, which would let anyone on this machine run code here.
process.on('SIGUSR1', () => {});

/** Calls back at SIGINT and SIGTERM; at once if one has come already. */
export function onStop(callback: () => void): void {
  stop = callback;
  if (stopped) callback();
}
