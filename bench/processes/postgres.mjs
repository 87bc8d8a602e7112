// A Postgres server of its own. Arguments: the folder of its programs, and settings as JSON.
import { readdirSync, readFileSync } from 'node:fs';
import { runPostgres } from '../../scripts/run-postgres.mjs';
import { answer } from '../support/child.mjs';

const [, , bin, settings] = process.argv;
/** Of the clock in /proc. */
const TICK_MS = 10;
let server;

/** Of a process: its parent, and the milliseconds of CPU of it and of its children that have ended. */
function usage(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return { parent: Number(fields[1]), ms: ticks * TICK_MS };
  } catch {
    return { parent: 0, ms: 0 };
  }
}

const questions = {
  async listen() {
    server = await runPostgres(bin, JSON.parse(settings));
    const { host, port, url } = server;
    return { host, port, url };
  },
  /** Of all its processes: it has one for each connection. */
  cpu() {
    const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    const own = processes.map((pid) => ({ pid: Number(pid), ...usage(pid) }));
    return own
      .filter(({ pid, parent }) => pid === server.pid || parent === server.pid)
      .reduce((sum, { ms }) => sum + ms, 0);
  },
};

answer(questions, () => server?.stop());
