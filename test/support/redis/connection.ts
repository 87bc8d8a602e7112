import { connect, type Socket } from 'node:net';

export type Reply = string | number | null | Reply[];

/** What Redis answers with an error; `code` is its first word. */
export class ReplyError extends Error {
  readonly code: string;
  constructor(message: string) {
    super(message);
    this.code = message.split(' ', 1)[0]!;
  }
}

interface Waiting {
  resolve(reply: Reply): void;
  reject(error: Error): void;
}

const isIncomplete = Symbol('incomplete');

/** A connection for tests: plain RESP2, independent of the client libraries that are tested. */
export class RedisConnection {
  private readonly waiting: Waiting[] = [];
  private received = Buffer.alloc(0);
  private at = 0;

  private constructor(private readonly socket: Socket) {
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.read(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => this.end());
  }

  /** @param auth arguments of AUTH */
  static async to(port: number, auth: readonly string[] = []): Promise<RedisConnection> {
    const socket = connect(port, '127.0.0.1');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve();
      });
    });
    const connection = new RedisConnection(socket);
    if (auth.length > 0) await connection.command('AUTH', ...auth);
    return connection;
  }

  get isOpen(): boolean {
    return !this.socket.destroyed;
  }

  /** Rejects with a `ReplyError` for an error, and when the connection ends. */
  command(...args: readonly (string | number)[]): Promise<Reply> {
    if (this.socket.destroyed) return Promise.reject(new Error('the connection to Redis has ended'));
    const words = args.map((arg) => `$${Buffer.byteLength(`${arg}`)}\r\n${arg}\r\n`);
    this.socket.write(`*${args.length}\r\n${words.join('')}`);
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  close(): void {
    this.socket.destroy();
    this.end();
  }

  private end(): void {
    for (const { reject } of this.waiting.splice(0)) reject(new Error('the connection to Redis has ended'));
  }

  private read(chunk: Buffer): void {
    this.received = Buffer.concat([this.received, chunk]);
    for (;;) {
      this.at = 0;
      const reply = this.reply();
      if (reply === isIncomplete) return;
      this.received = this.received.subarray(this.at);
      const waiting = this.waiting.shift();
      if (reply instanceof Error) waiting?.reject(reply);
      else waiting?.resolve(reply);
    }
  }

  private reply(): Reply | ReplyError | typeof isIncomplete {
    const end = this.received.indexOf('\r\n', this.at);
    if (end < 0) return isIncomplete;
    const line = this.received.toString('utf8', this.at + 1, end);
    const kind = String.fromCharCode(this.received[this.at]!);
    this.at = end + 2;
    if (kind === '+') return line;
    if (kind === '-') return new ReplyError(line);
    if (kind === ':') return Number(line);
    if (kind === '$') return this.bulk(Number(line));
    if (kind === '*') return this.array(Number(line));
    throw new Error(`not RESP2: ${kind}${line}`);
  }

  private bulk(length: number): string | null | typeof isIncomplete {
    if (length < 0) return null;
    const end = this.at + length;
    if (this.received.length < end + 2) return isIncomplete;
    const text = this.received.toString('utf8', this.at, end);
    this.at = end + 2;
    return text;
  }

  private array(length: number): Reply | typeof isIncomplete {
    if (length < 0) return null;
    const items: Reply[] = [];
    for (let i = 0; i < length; i++) {
      const item = this.reply();
      if (item === isIncomplete) return item;
      items.push(item instanceof Error ? item.message : item);
    }
    return items;
  }
}
