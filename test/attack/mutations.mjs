/**
 * Ways of breaking the daemon that an attack must show. `from` occurs once in that file of the ESM build.
 *
 * @typedef {{ name: string, file: string, from: string, to: string, attack: string, finding: RegExp }} Mutation
 */

const BUSY = 'for (const end = performance.now() + 5; performance.now() < end; );';

const TOO_LONG = /a turn of the daemon took|p99|for other clients/;

/** @type {Mutation[]} */
export const MUTATIONS = [
  {
    name: 'sessions are remembered after their end',
    file: 'core/disconnect.js',
    from: 'this.sessions.delete(session);',
    to: '',
    attack: 'idle',
    finding: /the heap has grown/,
  },
  {
    name: 'connections are counted for ever',
    file: 'daemon/tcp/tcp-listener.js',
    from: 'this.admission.leave(peer);',
    to: '',
    attack: 'storms',
    finding: /all attackers are gone did not come true/,
  },
  {
    name: 'silent connections are never cut off',
    file: 'daemon/tcp/timed-session.js',
    from: 'this.lineSince + this.readTimeoutMs : Infinity',
    to: 'this.lineSince + 3_600_000 : Infinity',
    attack: 'idle',
    finding: /nobody was cut off for silence/,
  },
  {
    name: 'who writes a byte a second is never cut off',
    file: 'daemon/tcp/timed-session.js',
    from: 'this.lineSince + this.readTimeoutMs : Infinity',
    to: 'this.lineSince + 3_600_000 : Infinity',
    attack: 'slow writers',
    finding: /nobody was cut off after the read timeout/,
  },
  {
    name: 'who does not read is never cut off',
    file: 'daemon/tcp/outbox.js',
    from: 'this.due === Infinity && (this.timeoutMs > 0 || this.long)',
    to: 'this.due === Infinity && this.timeoutMs > 3_600_000',
    attack: 'readers of',
    finding: /nobody was cut off after the write timeout/,
  },
  {
    name: 'a flood of requests is executed in one go',
    file: 'daemon/fairness/request-scheduler.js',
    from: 'return this.spentMs >=',
    to: 'return this.spentMs >= 60_000 +',
    attack: 'readers of',
    finding: TOO_LONG,
  },
  {
    name: 'the end of a connection stops everything for 5 ms',
    file: 'daemon/tcp/tcp-session.js',
    from: 'this.outbox.abandon();',
    to: `this.outbox.abandon();${BUSY}`,
    attack: 'storms',
    finding: /p99/,
  },
  {
    name: 'stats are made in one go',
    file: 'daemon/fairness/stats-desk.js',
    from: 'const isWhole = walk.proceed(',
    to: 'while (!walk.proceed(this.clock.now(), () => false));\nconst isWhole = true || walk.proceed(',
    attack: '8 ask for stats',
    finding: TOO_LONG,
  },
  {
    name: 'each who asks for stats has a text of its own',
    file: 'daemon/fairness/stats-desk.js',
    from: 'this.waiting = new Set();\n        const text',
    to: 'this.waiting = new Set([...askers].slice(1));\nfor (const late of this.waiting) askers.delete(late);\n        const text',
    attack: '200 ask for stats',
    finding: /the attack was none: only \d+ were answered|p99|for other clients/,
  },
  {
    name: 'all patterns are looked at in one turn',
    file: 'core/signal-weight.js',
    from: 'pattern: 2,',
    to: 'pattern: 0,',
    attack: 'patterns',
    finding: TOO_LONG,
  },
  {
    name: 'a promise is rejected and nobody looks',
    file: 'daemon/tcp/tcp-listener.js',
    from: 'this.admission.leave(peer);',
    to: "this.admission.leave(peer); void Promise.reject(new Error('left alone'));",
    attack: 'storms',
    finding: /unhandled rejection: Error: left alone/,
  },
  {
    name: 'the end of the hundredth connection ends the daemon',
    file: 'daemon/tcp/tcp-session.js',
    from: 'this.outbox.abandon();',
    to: "this.outbox.abandon();\nif (this.session.id === 100) setImmediate(() => { throw new Error('gone'); });",
    attack: 'storms',
    finding: /exited with code|ERR_IPC_CHANNEL_CLOSED/,
  },
  {
    name: 'clients are waited for without end at a shutdown',
    file: 'daemon/server.js',
    from: "closing connections', { connections: this.openConnections });\n        for (const listener of this.#listeners)\n            listener.cutOff();",
    to: "closing connections', { connections: this.openConnections });",
    attack: 'SIGTERM',
    finding: /ended by SIGKILL, not 0/,
  },
  {
    name: 'what a client is granted is freed 10 s later',
    file: 'core/engine.js',
    from: "this.free(hold, now, 'release');\n        session.sink.reply(op, OK);",
    to: "setTimeout(() => this.free(hold, now, 'release'), 10_000);\n        session.sink.reply(op, OK);",
    attack: 'SIGKILL',
    finding: /the other clients did not come back|AcquireTimeoutError after the restart/,
  },
  {
    name: 'the daemon ends with its log',
    file: 'cli/log-sink.js',
    from: "stream.on('error', () => { });",
    to: '',
    attack: 'full disk',
    finding: /the daemon exited with code 1/,
  },
  {
    name: 'requests over HTTP are parsed and served without a break',
    file: 'daemon/fairness/turn-share.js',
    from: 'return this.spentMs + doingMs <',
    to: 'return -1 <',
    attack: 'HTTP: 50 floods',
    finding: TOO_LONG,
  },
  {
    name: 'who dribbles a body over HTTP is never cut off',
    file: 'daemon/http/exchange/http-connection.js',
    from: 'seen - last.since >= this.host.bodyTimeoutMs',
    to: 'seen - last.since >= 3_600_000',
    attack: 'slow bodies',
    finding: /nobody was cut off after the read timeout/,
  },
];
