import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { EventSource } from 'eventsource';
import { DflockdServer, type DflockdServerOptions, type ServerDependencies } from '../../../../lib/entries/daemon.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { freePort } from '../../../support/free-port.mjs';
import { keptByTheKernel } from '../../../support/unsent.js';
import { inTime, until } from '../../../support/until.js';
import { Wire } from '../../../support/wire.js';

/** A daemon, and what tests ask it over HTTP. */
class Daemon {
  private constructor(
    readonly server: DflockdServer,
    readonly httpPort: number,
  ) {}

  static async start(options: DflockdServerOptions = {}, deps: ServerDependencies = {}): Promise<Daemon> {
    const httpPort = await freePort();
    const server = new DflockdServer({ port: 0, httpPort, ...options }, deps);
    await server.listen();
    return new Daemon(server, httpPort);
  }

  get url(): string {
    return `http://127.0.0.1:${this.httpPort}`;
  }

  async publish(channel: string, payload: string): Promise<number> {
    const answer = await fetch(`${this.url}/v1/signals/${channel}`, {
      method: 'POST',
      body: JSON.stringify({ payload }),
    });
    return ((await answer.json()) as { delivered: number }).delivered;
  }

  /** Publishes over TCP, which takes less time for long payloads; returns the numbers of copies. */
  async publishMany(channel: string, payload: string, times: number): Promise<number[]> {
    const tcp = await Wire.tcp(this.server.address()!);
    tcp.send(`signal\n${channel}\n${payload}\n`.repeat(times));
    const replies = await tcp.read(times);
    tcp.destroy();
    return [...replies.matchAll(/^ok (\d+)$/gm)].map(([, copies]) => Number(copies));
  }

  async stats(): Promise<{
    connections: number;
    signal_channels: { pattern: string; group?: string; listeners: number }[];
  }> {
    return (await (await fetch(`${this.url}/v1/stats`)).json()) as never;
  }

  async listeners(pattern: string): Promise<number> {
    const { signal_channels: channels } = await this.stats();
    return channels.filter((each) => each.pattern === pattern).reduce((sum, { listeners }) => sum + listeners, 0);
  }

  /** The value of a series of the metrics. */
  async metric(series: string): Promise<string | undefined> {
    const page = await (await fetch(`${this.url}/metrics`)).text();
    const line = page.split('\n').find((each) => each.startsWith(`${series} `));
    return line?.slice(series.length + 1);
  }

  /** A connection that has sent a request for a stream. */
  async stream(target: string, { method = 'GET', version = '1.1' } = {}): Promise<Wire> {
    const wire = await Wire.tcp({ host: '127.0.0.1', port: this.httpPort });
    wire.send(`${method} ${target} HTTP/${version}\r\nHost: x\r\n\r\n`);
    return wire;
  }

  /** A stream whose start has come in. */
  async open(pattern: string): Promise<Wire> {
    const wire = await this.stream(`/v1/signals?pattern=${pattern}`);
    await until(() => wire.received.includes(':ok\n\n'));
    return wire;
  }

  close(): Promise<void> {
    return this.server.close();
  }
}

const frame = (channel: string, payload: string): string =>
  `event: sig\ndata: ${JSON.stringify({ channel, payload })}\n\n`;
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
const LAST_CHUNK = '0\r\n\r\n';

/** Facts of the HTTP specification, 3.10, and choices 4.9 to 4.11. */
describe('a stream of signals', () => {
  let daemon: Daemon;
  beforeAll(async () => {
    daemon = await Daemon.start();
  });
  beforeEach(() => until(async () => (await daemon.stats()).connections === 0));
  afterAll(() => daemon.close());

  it('is read by an EventSource', async () => {
    const source = new EventSource(`${daemon.url}/v1/signals?pattern=es.%3E`);
    const seen: unknown[] = [];
    source.addEventListener('sig', ({ data }: { data: string }) => seen.push(JSON.parse(data)));
    await inTime(once(source as unknown as EventTarget, 'open'), 'open');
    await until(() => daemon.listeners('es.>'));
    expect(await daemon.publish('es.a', '{"user":"alice"}')).toBe(1);
    expect(await daemon.publish('es.b', '<b> ключ \x01')).toBe(1);
    await until(() => seen.length === 2);
    expect(seen).toEqual([
      { channel: 'es.a', payload: '{"user":"alice"}' },
      { channel: 'es.b', payload: '<b> ключ \x01' },
    ]);
    source.close();
    await until(async () => (await daemon.listeners('es.>')) === 0);
  });

  it('is read by curl -N', async () => {
    const curl = spawn('curl', ['-sN', `${daemon.url}/v1/signals?pattern=curl`]);
    let out = '';
    curl.stdout.on('data', (data: Buffer) => (out += data.toString()));
    await until(() => out === ':ok\n\n');
    expect(await daemon.publish('curl', 'x')).toBe(1);
    await until(() => out.length > 5);
    expect(out).toBe(`:ok\n\n${frame('curl', 'x')}`);
    curl.kill();
    await until(async () => (await daemon.listeners('curl')) === 0);
  });

  it('has the head of the original, and one frame in each chunk', async () => {
    const wire = await daemon.open('raw.*');
    const [head, body] = wire.received.split('\r\n\r\n', 2) as [string, string];
    const headers = head.split('\r\n');
    expect(headers[0]).toBe('HTTP/1.1 200 OK');
    expect(headers.slice(1).filter((each) => !each.startsWith('Date: '))).toEqual([
      'Content-Type: text/event-stream',
      'Cache-Control: no-cache',
      'Connection: keep-alive',
      'X-Accel-Buffering: no',
      'Transfer-Encoding: chunked',
    ]);
    expect(`${body}\r\n`).toContain('5\r\n:ok\n\n\r\n'.slice(0, 5));
    const before = wire.received.length;
    await Promise.all(['a', 'b', 'c'].map((each) => daemon.publish('raw.x', each)));
    await until(() => wire.received.split('event: sig').length === 4);
    await until(() => wire.received.endsWith('\r\n'));
    const chunks = wire.received.slice(before).match(/\w+\r\nevent: sig\n.*\n\n\r\n/g)!;
    expect(chunks.sort()).toEqual(['a', 'b', 'c'].map((each) => chunk(frame('raw.x', each))));
    expect(chunks.join('').length).toBe(wire.received.length - before);
    wire.destroy();
  });

  it('lasts until the close on HTTP/1.0', async () => {
    const wire = await daemon.stream('/v1/signals?pattern=old', { version: '1.0' });
    await until(() => wire.received.endsWith('\r\n\r\n:ok\n\n'));
    expect(wire.received).not.toContain('chunked');
    await daemon.publish('old', 'x');
    await until(() => wire.received.endsWith(`:ok\n\n${frame('old', 'x')}`));
    wire.destroy();
  });

  it('is asked for by HEAD: the head, and no session that stays', async () => {
    const { connections } = await daemon.stats();
    const wire = await daemon.stream('/v1/signals?pattern=head', { method: 'HEAD' });
    await until(() => wire.received.endsWith('\r\n\r\n'));
    expect(wire.received).toMatch(/^HTTP\/1.1 200 OK\r\nContent-Type: text\/event-stream\r\n/);
    expect(await daemon.stats()).toMatchObject({ connections, signal_channels: [] });
    // The connection is still good.
    wire.send('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => wire.received.endsWith('{"status":"ok"}\n'));
    wire.destroy();
  });

  it.each([
    ['', 'pattern is missing or empty'],
    ['?pattern=a+b', 'pattern must not contain a space, a tab or a line break'],
    ['?pattern=a*', 'pattern: `*` must be a whole token, and `>` the whole last token'],
    ['?pattern=a&group=%0A', 'group must not contain a line break'],
  ])('is refused in JSON before it begins: %j', async (query, detail) => {
    const answer = await fetch(`${daemon.url}/v1/signals${query}`);
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(await answer.json()).toEqual({ error: 'bad_request', detail });
  });

  it('needs no session, and ignores Accept and Last-Event-ID', async () => {
    const answer = await fetch(`${daemon.url}/v1/signals?pattern=x`, {
      headers: { 'X-Dflockd-Session': 'nonsense', Accept: 'application/json', 'Last-Event-ID': '7' },
    });
    expect(answer.status).toBe(200);
    await answer.body!.cancel();
  });

  it('counts as a listener, a connection and a session until its client leaves by FIN or reset', async () => {
    const { connections } = await daemon.stats();
    const [a, b] = await Promise.all([daemon.open('count.>'), daemon.open('count.>')]);
    expect(await daemon.stats()).toMatchObject({
      connections: connections + 2,
      signal_channels: expect.arrayContaining([{ pattern: 'count.>', listeners: 2 }]),
    });
    expect(Number(await daemon.metric('dflockd_http_sessions'))).toBeGreaterThanOrEqual(2);
    expect(await daemon.publish('count.x', 'x')).toBe(2);
    a.end();
    await until(async () => (await daemon.listeners('count.>')) === 1);
    b.reset();
    await until(async () => (await daemon.listeners('count.>')) === 0);
    expect(await daemon.publish('count.x', 'x')).toBe(0);
  });

  it('shares the signals of its group with TCP, in turn', async () => {
    const tcp = await Wire.tcp(daemon.server.address()!);
    expect(await tcp.ask('listen\njobs\nworkers\n')).toBe('ok');
    const wire = await daemon.stream('/v1/signals?pattern=jobs&group=workers');
    await until(() => wire.received.includes(':ok'));
    for (const payload of ['1', '2', '3', '4']) expect(await daemon.publish('jobs', payload)).toBe(1);
    await until(() => wire.received.includes('"4"'));
    expect(wire.received.match(/"payload":"\d"/g)).toEqual(['"payload":"2"', '"payload":"4"']);
    expect(await tcp.read(2)).toBe('sig jobs 1\nsig jobs 3\n');
    tcp.destroy();
    wire.destroy();
  });

  it('is counted by the metrics when it ends', async () => {
    const series = 'dflockd_http_requests_total{method="GET",path="/v1/signals",status="200"}';
    const before = Number((await daemon.metric(series)) ?? 0);
    const wire = await daemon.open('metrics');
    expect(Number((await daemon.metric(series)) ?? 0)).toBe(before);
    wire.destroy();
    await until(async () => Number(await daemon.metric(series)) === before + 1);
  });

  it('ends when its client does not keep up: what was counted as delivered may still be read', async () => {
    const wire = await daemon.open('slow');
    wire.stream.pause();
    const payload = 'x'.repeat(65_000);
    let delivered = 0;
    while (delivered < 5000) {
      const copies = await daemon.publishMany('slow', payload, 20);
      delivered += copies.reduce((sum, each) => sum + each, 0);
      if (copies.at(-1) === 0) break;
    }
    expect(delivered).toBeGreaterThanOrEqual(128);
    expect(delivered).toBeLessThan(5000);
    await until(async () => (await daemon.listeners('slow')) === 0);
    wire.stream.resume();
    await until(() => wire.received.endsWith(LAST_CHUNK));
    expect(wire.received.split('event: sig')).toHaveLength(delivered + 1);
    wire.destroy();
  });

  it('is no burden to a client that reads, however many signals come at once', async () => {
    const wire = await daemon.open('burst');
    const tcp = await Wire.tcp(daemon.server.address()!);
    tcp.send('signal\nburst\nx\n'.repeat(1000));
    await tcp.read(1000);
    await until(() => wire.received.split('event: sig').length === 1001);
    expect(await daemon.listeners('burst')).toBe(1);
    tcp.destroy();
    wire.destroy();
  });
});

describe('the sessions of streams', () => {
  it('count against the limits, whose refusals are JSON', async () => {
    const daemon = await Daemon.start({ httpMaxSessions: 2, httpMaxSessionsPerIp: 1 });
    const first = await daemon.open('a');
    const second = await fetch(`${daemon.url}/v1/signals?pattern=a`);
    expect([second.status, await second.json()]).toEqual([503, { error: 'max_sessions_per_ip' }]);
    const session = await fetch(`${daemon.url}/v1/sessions`, { method: 'POST' });
    expect([session.status, await session.json()]).toEqual([503, { error: 'max_sessions_per_ip' }]);
    first.destroy();
    await until(async () => (await fetch(`${daemon.url}/v1/sessions`, { method: 'POST' })).status === 200);
    await daemon.close();
  });

  it('live for as long as their clients, although these say nothing; one that does not read is disconnected', async () => {
    const clock = new FakeClock();
    const daemon = await Daemon.start({}, { clock });
    const [reads, stuck] = await Promise.all([daemon.open('s'), daemon.open('s')]);
    await clock.advanceAsync(600_000);
    expect(await daemon.publish('s', 'x')).toBe(2);
    await until(() => reads.received.includes('"x"') && stuck.received.includes('"x"'));
    await clock.advanceAsync(600_000);
    stuck.stream.pause();
    // Fewer than the buffer holds, but more than the kernel takes.
    // Large signals are delivered in portions, for which some time passes.
    const ticks = setInterval(() => clock.advance(1), 1);
    expect(await daemon.publishMany('s', 'y'.repeat(65_000), 120)).toEqual(Array<number>(120).fill(2));
    await until(() => reads.received.split('event: sig').length === 122);
    clearInterval(ticks);
    await clock.advanceAsync(20_000);
    expect(await daemon.listeners('s')).toBe(2);
    await clock.advanceAsync(10_500);
    await until(async () => (await daemon.listeners('s')) === 1);
    // Which would keep what it has not read for minutes.
    expect(keptByTheKernel(daemon.httpPort)).toBe(0);
    stuck.destroy();
    reads.destroy();
    const closed = daemon.close();
    await until(() => clock.advanceAsync(1_000).then(() => true));
    await closed;
  });

  it('break their silence with a comment if that is wanted', async () => {
    const clock = new FakeClock();
    const silent = await Daemon.start({}, { clock });
    const daemon = await Daemon.start({ httpSseKeepAlive: true, httpSsePingInterval: 10 }, { clock });
    const [wire, other, never] = [await daemon.open('s'), await daemon.open('t'), await silent.open('s')];
    const before = wire.received.length;
    const pass = async (seconds: number): Promise<void> => {
      for (let i = 0; i < seconds; i++) await clock.advanceAsync(1_000);
    };
    await pass(9);
    expect(await daemon.publish('s', 'x')).toBe(1);
    await until(() => wire.received.includes('"x"'));
    await until(async () => (await clock.advanceAsync(0), wire.received.length > before));
    await pass(2);
    await until(() => other.received.endsWith(`:ok\n\n\r\n${chunk(':\n\n')}`));
    expect(wire.received.slice(before)).toBe(chunk(frame('s', 'x')));
    await pass(20);
    await until(() => wire.received.slice(before) === chunk(frame('s', 'x')) + chunk(':\n\n').repeat(2));
    expect(never.received.endsWith(':ok\n\n\r\n')).toBe(true);
    other.destroy();
    await until(async () => (await daemon.listeners('t')) === 0);
    await pass(20);
    for (const each of [wire, never]) each.destroy();
    await Promise.all([daemon.close(), silent.close()]);
  });

  it('end at a shutdown at once, cleanly, even if a client does not read', async () => {
    const daemon = await Daemon.start();
    const [reads, stuck] = await Promise.all([daemon.open('s'), daemon.open('s')]);
    stuck.stream.pause();
    await daemon.publishMany('s', 'y'.repeat(65_000), 120);
    await until(() => reads.received.split('event: sig').length === 121);
    const since = performance.now();
    await daemon.close();
    expect(performance.now() - since).toBeLessThan(5_000);
    await reads.whenClosed();
    expect(reads.received.endsWith(LAST_CHUNK)).toBe(true);
    stuck.destroy();
  });
});
