/** The daemon of the lab: as it is shipped, with its engine observed. Arguments: options as JSON, the path of its log. */
import { DflockdServer, type DflockdServerOptions } from '../../../lib/entries/daemon.js';
import { EngineDriver } from '../../../lib/core/driver.js';
import { LogWriter } from '../log/writer.js';
import { nanos } from '../log/time.js';
import { observeEngines } from './observed-engine.js';
import { serve } from './serve.js';

const [options, path] = process.argv.slice(2) as [string, string];
const log = new LogWriter(path);
observeEngines(log);
// The server shows its engine to nobody; its first step is seen.
let driver: EngineDriver | undefined;
const { touch } = EngineDriver.prototype;
EngineDriver.prototype.touch = function () {
  const seen = (): EngineDriver => this;
  driver ??= seen();
  touch.call(this);
};
const server = new DflockdServer(JSON.parse(options) as DflockdServerOptions);
const { port } = await server.listen();

serve({
  port: () => port,
  /** As SIGTERM does; resolves when everybody has gone. */
  close: () => server.close(),
  /** When it began, in nanoseconds. */
  drain: () => {
    const at = nanos();
    void server.close();
    return at;
  },
  /** Keys that somebody holds or waits for. */
  held: () => {
    if (!driver) return [];
    const stats = JSON.parse(driver.engine.stats(0, driver.clock.now())) as Record<string, { key: string }[]>;
    return [...stats.locks!, ...stats.semaphores!].map(({ key }) => key);
  },
  flush: () => log.flush(),
});
