import { LockError, ProtocolError, UnsupportedError } from '../../common/errors.js';
import { shown } from '../../common/shown.js';
import type { Ms } from '../../common/system.js';
import { DISABLED, LAST_COUNTER, type LockCommand, TEXTS } from '../../protocol/lockd/texts.js';

/** Receives what a call comes to: an error, or values. */
export type Settle<A extends readonly unknown[]> = (error: Error | null, ...values: A | []) => void;

/** A request and its reply. */
export interface Exchange {
  /** The lines to send. */
  readonly request: string;
  /** How long the server may be silent, if not for the read timeout. */
  readonly silenceMs?: Ms | undefined;
  /**
   * Takes a line of the reply; returns whether it is the last one.
   * @throws ProtocolError if it cannot be part of this reply
   */
  take(line: string): boolean;
  /** The server has been silent for too long: what to send before it may be silent once more. */
  late?(): string | undefined;
  /** The reply is complete. */
  settle(): void;
  fail(error: Error): void;
}

/** A reply of one line. */
abstract class OneLine<A extends readonly unknown[]> implements Exchange {
  protected line = '';

  constructor(
    readonly request: string,
    protected readonly done: Settle<A>,
  ) {}

  take(line: string): boolean {
    this.line = line;
    this.check();
    return true;
  }

  fail(error: Error): void {
    this.done(error);
  }

  abstract settle(): void;
  protected abstract check(): void;

  /** The number at its beginning, and the rest. */
  protected get parts(): [count: number, text: string] {
    const [, number, text] = /^(\d+)(?: (.*))?$/s.exec(this.line) ?? [];
    if (number === undefined) throw strange(this.line, this.request);
    return [Number(number), text ?? ''];
  }
}

const strange = (line: string, request: string): ProtocolError =>
  new ProtocolError(`unexpected answer to "${shown(request.trimEnd())}": ${shown(line)}`);

/** glockd trims names, and makes one space of inner white space. */
const squeezed = (text: string): string => text.replace(/\s+/g, ' ').trim();

/** `g`, `r`, `i` and their counterparts for shared locks. */
export class LockExchange extends OneLine<[count: number, msg: string]> {
  /** @param isQuestion 0 is an answer, not a failure */
  constructor(
    private readonly command: LockCommand,
    private readonly name: string,
    private readonly isQuestion: boolean,
    done: Settle<[count: number, msg: string]>,
  ) {
    super(`${command} ${name}\n`, done);
  }

  /** An answer about another name, or to another command, is an answer to another call. */
  protected check(): void {
    const [count, text] = this.parts;
    const { yes, no } = TEXTS[this.command];
    const expected = `${count > 0 ? yes : no}: ${this.name}`;
    if (text !== expected && squeezed(text) !== squeezed(expected)) throw strange(this.line, this.request);
  }

  settle(): void {
    const [count, text] = this.parts;
    if (count > 0 || this.isQuestion) this.done(null, count, text);
    else this.done(new LockError(text, { code: 'LOCKD_FAILURE', key: this.name }));
  }
}

/** `iam` */
export class NamingExchange extends OneLine<[count: number, msg: string]> {
  constructor(name: string, done: Settle<[count: number, msg: string]>) {
    super(`iam ${name}\n`, done);
  }

  protected check(): void {
    if (this.line !== DISABLED && this.line !== '1 ok') throw strange(this.line, this.request);
  }

  settle(): void {
    if (this.line === DISABLED) {
      this.done(new UnsupportedError('The registry feature of the lockd server is disabled.'));
    } else this.done(null, 1, 'ok');
  }
}

/** `me` */
export class IdentityExchange extends OneLine<[addr: string, name: string]> {
  constructor(done: Settle<[addr: string, name: string]>) {
    super('me\n', done);
  }

  protected check(): void {
    const [count, text] = this.parts;
    if (count > 0 && !text.includes(' ')) throw strange(this.line, this.request);
  }

  settle(): void {
    const [count, text] = this.parts;
    if (count === 0) return this.done(new ProtocolError(text || 'Bad response from lockd server'));
    const space = text.indexOf(' ');
    this.done(null, text.slice(0, space), text.slice(space + 1));
  }
}

/** `q`, whose lines are sorted: the last one is known. */
export class StatsExchange implements Exchange {
  readonly request = 'q\n';
  private readonly stats: Record<string, number> = {};

  constructor(private readonly done: Settle<[stats: Record<string, number>]>) {}

  take(line: string): boolean {
    const [, key, value] = /^([a-z_]+): (\d+)$/.exec(line) ?? [];
    if (key === undefined) throw strange(line, this.request);
    this.stats[key] = Number(value);
    return key === LAST_COUNTER;
  }

  settle(): void {
    this.done(null, this.stats);
  }

  fail(error: Error): void {
    this.done(error);
  }
}
