import { ScriptedClient } from './scripted-client.js';
import type { PgParameters, PgQuery } from '../../../../../lib/backends/postgres/sessions/pg-client.js';

type Rows = (string | null)[][];

interface ServerSession {
  readonly pid: number;
  settings: Record<string, string>;
}

/** A server of Postgres, or what takes itself for one, as far as the start asks it. */
export class ScriptedServer {
  version = '16.4';
  versionNumber = 160_004;
  fullVersion = 'PostgreSQL 16.4 on x86_64';
  isStandby = false;
  systemIdentifier: string | null = '700';
  /** Every lock is granted. */
  isStub = false;
  /** pg_locks is empty. */
  showsNoLocks = false;
  /** All connections have one session. */
  isShared = false;
  /** The connection is told another process than that of its session. */
  isPooled = false;
  /** Settings in the startup message are lost. */
  dropsOptions = false;
  /** Settings do not stay. */
  keepsNothing = false;
  /** `options` of the configuration. */
  userOptions = '';
  /** Of a role. */
  settings: Record<string, string> = {};
  /** Fails a connect. */
  refuses: ((client: ScriptedClient, count: number) => Error | undefined) | undefined;
  /** Answers a statement in place of the server; undefined leaves it to the server. */
  answers: ((text: string, client: ScriptedClient) => Rows | Error | 'silence' | undefined) | undefined;
  connects = 0;
  readonly clients: ScriptedClient[] = [];
  private pids = 100;
  private readonly sessions = new Map<ScriptedClient, ServerSession>();
  private readonly locks = new Map<string, number>();

  /** What recogniseSource takes. */
  readonly pool = {
    options: { host: 'db', password: 'hunter2' },
    totalCount: 0,
    connect: (): void => undefined,
    Client: this.clientClass(),
  };

  get locked(): number {
    return this.locks.size;
  }

  /** Connections that the client has not closed. */
  get open(): ScriptedClient[] {
    return [...this.sessions.keys()].filter(({ socket }) => !socket.some((what) => what.startsWith('destroy')));
  }

  private clientClass(): new () => ScriptedClient {
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- the class below has its own
    const server = this;
    return class extends ScriptedClient {
      override readonly connectionParameters = {
        options: server.userOptions,
        query_timeout: 5,
        statement_timeout: 6,
      } as PgParameters;

      override connect(callback: (error?: Error | null) => void): void {
        super.connect(callback);
        server.clients.push(this);
        queueMicrotask(() => server.accept(this));
      }
    };
  }

  private accept(client: ScriptedClient): void {
    this.connects++;
    const error = this.refuses?.(client, this.connects);
    if (error) return client.connected?.(error);
    const pid = this.isShared ? 42 : ++this.pids;
    const settings = { idle_session_timeout: '0', statement_timeout: '0', lock_timeout: '0', search_path: 'public' };
    const session = { pid, settings: { ...settings, ...this.settings } as Record<string, string> };
    this.sessions.set(client, session);
    client.processID = this.isPooled ? 9_999 : pid;
    if (!this.dropsOptions) {
      const options = String(client.connectionParameters.options);
      for (const [, name, value] of options.matchAll(/-c (\w+)=(\S+)/g)) session.settings[name!] = value!;
    }
    client.on('sent', (query: PgQuery) => queueMicrotask(() => this.reply(client, session, query)));
    client.connected?.();
  }

  private reply(client: ScriptedClient, session: ServerSession, { text, values }: PgQuery): void {
    if (!client.isBusy) return;
    const reply = this.answers?.(text, client) ?? this.rowsOf(session, text, values);
    if (reply === 'silence') return;
    if (reply instanceof Error) client.refuse((reply as { code?: string }).code!, reply.message);
    else client.answer(...reply);
  }

  private rowsOf(session: ServerSession, text: string, values: readonly unknown[]): Rows {
    const { pid, settings } = session;
    const [, id = ''] = /lock\((-?\d+)\)/.exec(text) ?? [];
    if (text.includes('pg_is_in_recovery')) {
      const { versionNumber, version, fullVersion, isStandby } = this;
      const all = Object.entries(settings).map((pair) => pair.join('='));
      const standby = isStandby ? 't' : 'f';
      const start = '2026-01-01 00:00:00.000001+00';
      return [[`${pid}`, start, `${versionNumber}`, version, fullVersion, standby, '100', '6400', all.join('\n')]];
    }
    if (text.includes('pg_control_system')) {
      return this.systemIdentifier === null ? [] : [[this.systemIdentifier, '1']];
    }
    if (text.startsWith('select set_config')) {
      const [names, all] = values as [string[], string[]];
      if (!this.keepsNothing) names.forEach((name, i) => (settings[name] = all[i]!));
      return [];
    }
    if (text.startsWith('select name, setting')) return Object.entries(settings);
    if (text.includes('pg_try_advisory_lock')) {
      const isFree = this.isStub || (this.locks.get(id) ?? pid) === pid;
      if (isFree && !this.isStub) this.locks.set(id, pid);
      return [[isFree ? 't' : 'f']];
    }
    if (text.includes('pg_advisory_unlock')) return [[this.isStub || this.locks.delete(id) ? 't' : 'f']];
    if (text.includes('from pg_locks')) return [[this.showsNoLocks ? '0' : '1']];
    if (text.includes('pg_backend_pid')) return [[`${pid}`]];
    return [];
  }
}
