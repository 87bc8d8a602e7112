// main.ts imports this first, before anything else is loaded: a signal that comes while nobody listens is lost, where this
// is process 1, or kills.
let stopped = false;
let stop = (): void => {};
const stopNow = (): void => {
  stopped = true;
  stop();
};
process.on('SIGINT', stopNow);
process.on('SIGTERM', stopNow);
// Node would open its inspector, through which anybody on this machine could run code here.
process.on('SIGUSR1', () => {});

/** Calls back at SIGINT and SIGTERM; at once if one has come already. */
export function onStop(callback: () => void): void {
  stop = callback;
  if (stopped) callback();
}
