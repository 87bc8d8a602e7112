/**
 * Ways of breaking the daemon that an attack must show. `from` occurs once in that file of the ESM build.
 *
 * @typedef {{ name: string, file: string, from: string, to: string, attack: string, finding: RegExp }} Mutation
 */

const BUSY = 'for (const end = performance.now() + 5; performance.now() < end; );';

/** @type {Mutation[]} */
export const MUTATIONS = [
  {
    name: 'sessions are remembered after their end',
    file: 'core/engine.js',
    from: 'this.sessions.delete(session);',
    to: '',
    attack: 'idle',
    finding: /the heap has grown/,
  },
  {
    name: 'connections are counted for ever',
    file: 'daemon/server.js',
    from: 'this.admission.leave(peer);',
    to: '',
    attack: 'storms',
    finding: /all attackers are gone did not come true/,
  },
  {
    name: 'silent connections are never cut off',
    file: 'daemon/timed-session.js',
    from: 'this.lineSince + this.readTimeoutMs : Infinity',
    to: 'this.lineSince + 3_600_000 : Infinity',
    attack: 'idle',
    finding: /nobody was cut off for silence/,
  },
  {
    name: 'who writes a byte a second is never cut off',
    file: 'daemon/timed-session.js',
    from: 'this.lineSince + this.readTimeoutMs : Infinity',
    to: 'this.lineSince + 3_600_000 : Infinity',
    attack: 'slow writers',
    finding: /nobody was cut off after the read timeout/,
  },
  {
    name: 'who does not read is never cut off',
    file: 'daemon/outbox.js',
    from: 'this.due === Infinity && this.timeoutMs > 0',
    to: 'this.due === Infinity && this.timeoutMs > 3_600_000',
    attack: 'readers of',
    finding: /nobody was cut off after the write timeout/,
  },
  {
    name: 'a flood of requests is executed in one go',
    file: 'daemon/continuations.js',
    from: 'return this.spentMs >=',
    to: 'return this.spentMs >= 60_000 +',
    attack: 'readers of',
    finding: /p99|for other clients/,
  },
  {
    name: 'the end of a connection stops everything for 5 ms',
    file: 'daemon/tcp-session.js',
    from: "this.release(this.host.driver.clock.now());\n        this.state = 'closed';",
    to: `this.release(this.host.driver.clock.now());\n        this.state = 'closed';${BUSY}`,
    attack: 'storms',
    finding: /p99/,
  },
  {
    name: 'a promise is rejected and nobody looks',
    file: 'daemon/server.js',
    from: 'this.admission.leave(peer);',
    to: "this.admission.leave(peer); void Promise.reject(new Error('left alone'));",
    attack: 'storms',
    finding: /unhandled rejection: Error: left alone/,
  },
  {
    name: 'the end of the hundredth connection ends the daemon',
    file: 'daemon/tcp-session.js',
    from: "this.release(this.host.driver.clock.now());\n        this.state = 'closed';",
    to: "if (this.session.id === 100) throw new Error('gone');\nthis.release(this.host.driver.clock.now());\n        this.state = 'closed';",
    attack: 'storms',
    finding: /exited with code|ERR_IPC_CHANNEL_CLOSED/,
  },
  {
    name: 'clients are waited for without end at a shutdown',
    file: 'daemon/server.js',
    from: "closing connections', { connections: this.open.size });\n        for (const stream of this.open)\n            stream.destroy();",
    to: "closing connections', { connections: this.open.size });",
    attack: 'SIGTERM',
    finding: /ended by SIGKILL, not 0/,
  },
  {
    name: 'what a client is granted is freed 10 s later',
    file: 'core/engine.js',
    from: 'this.free(hold, now);\n        session.sink.reply(op, OK);',
    to: 'setTimeout(() => this.free(hold, now), 10_000);\n        session.sink.reply(op, OK);',
    attack: 'SIGKILL',
    finding: /the other clients did not come back|AcquireTimeoutError after the restart/,
  },
];
