import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Ms } from '../../../common/system.js';
import type { Command } from '../../../core/types.js';
import { type Answer, badRequest, type Head } from '../answers/answer.js';
import { UNMATCHED } from '../metrics/request-metrics.js';
import type { Route } from '../routing/routes.js';
import { firstHeader } from './headers.js';

/** Most bytes of a body, white space behind it included (spec 9.1). */
export const BODY_CAP = 1024 * 1024;
/** So much of a longer body is read and dropped before it is refused: most clients read no answer while they write. */
const DROPPED_CAP = 4 * BODY_CAP;

const EMPTY = Buffer.alloc(0);
const NO_HEAD: Head = [];

/** The body of a request; undefined if it is longer than the cap. */
export type OnBody = (exchange: Exchange, body: Buffer | undefined) => void;

/** What an exchange waits for: its turn in a session, an answer of the engine, the end of a stream. */
export interface Awaited {
  /** The client is gone: nothing waits any more, and what it would have been granted goes to the next. */
  left(exchange: Exchange, now: Ms): void;
}

/** The connection of an exchange. */
export interface ExchangeOwner {
  readonly peer: string;
  /** Whether answers must end the connection. */
  readonly isLast: boolean;
  /** An exchange waits for something that may take long. */
  waits(): void;
  /** An exchange writes its answer itself, and is told when the kernel has taken it. */
  streams(): void;
  ended(exchange: Exchange, status: number): void;
  /** Ends the connection, because its client does not read. */
  cutOff(): void;
}

/** One request and its answer. It ends exactly once: with an answer, or when the client is gone. */
export class Exchange {
  route: Route | undefined = undefined;
  /** The label of its path in metrics. */
  label = UNMATCHED;
  /** The bytes of the parameter of its path. */
  param = '';
  query = '';
  /** Headers for any answer. */
  cors: Head = NO_HEAD;
  /** Whether metrics count it. */
  isCounted = false;
  /** The command being executed, or waiting for its turn. */
  command: Command | undefined = undefined;
  /** Answered, or gone. */
  isOver = false;
  /** Whether the client may wait for `100 Continue` before it sends the body. */
  expectsContinue = false;
  private awaited: Awaited | undefined = undefined;
  private chunks: Buffer[] | undefined = undefined;
  private size = 0;
  private collects = false;
  private collected = false;
  private isMalformed = false;
  private onBody: OnBody | undefined = undefined;

  constructor(
    readonly req: IncomingMessage,
    readonly res: ServerResponse,
    private readonly owner: ExchangeOwner,
    /** When the request arrived. */
    readonly since: Ms,
    /** The raw target, below the path at which the handler is mounted. */
    readonly url: string,
    /** The path at which the handler is mounted. */
    readonly base: string,
  ) {}

  get method(): string {
    return this.req.method!;
  }

  get peer(): string {
    return this.owner.peer;
  }

  /** Bytes of the body that are kept. */
  get kept(): number {
    return this.chunks === undefined ? 0 : this.size;
  }

  /** Bytes of the body that have not arrived; 0 if that is not known. */
  get missing(): number {
    const { req } = this;
    return this.collects && !req.complete ? Number(req.headers['content-length'] ?? 0) - this.size : 0;
  }

  private get hasBody(): boolean {
    const { headers } = this.req;
    return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
  }

  /** Whether the body was read here. */
  get hasRead(): boolean {
    return this.collects;
  }

  get isWaiting(): boolean {
    return this.awaited !== undefined;
  }

  /** The first value of a header. @param name in lower case */
  header(name: string): string | undefined {
    return firstHeader(this.req.rawHeaders, name);
  }

  /** From now on `awaited` is told if the client leaves. */
  waitFor(awaited: Awaited): void {
    this.awaited = awaited;
    this.owner.waits();
  }

  /** Calls back once with the whole body, at once if it is known; never if the client leaves before. */
  readBody(onBody: OnBody): void {
    this.onBody = onBody;
    if (this.expectsContinue && this.hasBody) {
      this.expectsContinue = false;
      this.res.writeContinue();
    }
    if (this.isMalformed) this.answer(MALFORMED);
    else if (this.collected) this.handBody();
    else this.collect();
  }

  /** The rest of the body, if it has not all arrived, is none. */
  breakBody(): void {
    if (this.req.complete) return;
    this.isMalformed = true;
    if (this.onBody) this.answer(MALFORMED);
  }

  /** Starts to read the body; a request that waits does so that its connection is read on. */
  collect(): void {
    if (this.collects) return;
    this.collects = true;
    const { req } = this;
    if (!this.hasBody) {
      this.collected = true;
      if (this.onBody) this.handBody();
      return;
    }
    req.on('data', (chunk: Buffer) => this.take(chunk));
    req.on('end', () => {
      this.collected = true;
      if (this.onBody && !this.isOver) this.handBody();
    });
  }

  answer(answer: Answer): void {
    if (this.isOver) return;
    this.end();
    const { res } = this;
    const { status, head, body } = answer;
    // A client that was not told to send its body may send it or not: what follows cannot be told apart.
    if (answer.closes || this.expectsContinue || this.owner.isLast) res.shouldKeepAlive = false;
    else if (res.shouldKeepAlive && this.req.httpVersionMinor === 1) res.removeHeader('connection');
    if (body === undefined) {
      res.writeHead(status, [...head, ...this.cors]).end();
    } else {
      res.writeHead(status, [...head, 'Content-Length', String(body.length), ...this.cors]).end(body, 'latin1');
    }
    this.owner.ended(this, status);
  }

  /** For answers that the endpoint writes itself: from now on only `finish` ends the exchange. */
  startStream(status: number, head: Head): void {
    this.owner.streams();
    this.res.writeHead(status, [...head, ...this.cors]);
  }

  /** The answer that `startStream` began is complete, or its client is gone. */
  finish(status: number): void {
    if (this.isOver) return;
    this.end();
    this.res.end();
    this.owner.ended(this, status);
  }

  /** The client does not read what the endpoint writes. */
  cutOff(): void {
    this.owner.cutOff();
  }

  /** The client is gone. */
  leave(now: Ms): void {
    if (this.isOver) return;
    const { awaited } = this;
    this.end();
    awaited?.left(this, now);
    if (this.res.headersSent) this.owner.ended(this, this.res.statusCode);
  }

  /** The body has not arrived in time. */
  refuseLateBody(): void {
    if (this.isOver || this.res.headersSent) this.req.destroy();
    else this.answer(LATE);
  }

  private end(): void {
    this.isOver = true;
    this.awaited = undefined;
    this.onBody = undefined;
    this.chunks = undefined;
  }

  private take(chunk: Buffer): void {
    this.size += chunk.length;
    if (this.isOver) return;
    // A request that waits behind others of its connection has no route yet.
    if (this.size <= BODY_CAP && (!this.route || this.route.body)) {
      if (this.chunks) this.chunks.push(chunk);
      else this.chunks = [chunk];
      return;
    }
    this.chunks = undefined;
    if (this.size > DROPPED_CAP && this.onBody) this.handBody();
  }

  private handBody(): void {
    const { onBody, chunks, size } = this;
    this.onBody = undefined;
    this.chunks = undefined;
    if (size > BODY_CAP) onBody!(this, undefined);
    else onBody!(this, chunks === undefined ? EMPTY : chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
  }
}

const MALFORMED: Answer = { ...badRequest('the body is malformed'), closes: true };
const LATE: Answer = { ...badRequest('the body did not arrive in time'), closes: true };
