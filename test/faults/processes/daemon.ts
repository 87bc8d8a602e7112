/** The daemon of the lab: as it is shipped, with its engine observed. Arguments: options as JSON, the path of its log. */
import { DflockdServer, type DflockdServerOptions } from '../../../lib/entries/daemon.js';
import { LogWriter } from '../log/writer.js';
import { nanos } from '../log/time.js';
import { EngineLog } from './observed-engine.js';
import { serve } from './serve.js';

const [options, path] = process.argv.slice(2) as [string, string];
const log = new LogWriter(path);
const observer = new EngineLog(log);
const server = new DflockdServer(JSON.parse(options) as DflockdServerOptions, { observer });
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
  held: () => observer.busyKeys,
  flush: () => log.flush(),
});
