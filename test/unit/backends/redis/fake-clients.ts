import { EventEmitter } from 'node:events';

export type Options = Record<string, unknown>;

/** A client of either library, as far as they agree. The duplicates are in `made`, and what is asked of it in `asked`. */
abstract class FakeClient extends EventEmitter {
  readonly asked: string[] = [];
  readonly made: this[] = [];
  /** What `connect` has promised. */
  connected!: () => void;
  failed!: (error: Error) => void;

  constructor(readonly options: Options = {}) {
    super();
  }

  duplicate(override: Options): this {
    const Client = this.constructor as new (options: Options) => this;
    const one = new Client({ ...this.options, ...override });
    this.made.push(one);
    return one;
  }

  connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.connected = resolve;
      this.failed = reject;
    });
  }

  protected async ask(...words: readonly string[]): Promise<string> {
    this.asked.push(words.join(' '));
    return 'reply';
  }
}

/** As much of `Redis` of ioredis as the driver uses. */
export class FakeIoredis extends FakeClient {
  status = 'wait';
  stream: EventEmitter | undefined = undefined;

  disconnect(): void {
    this.asked.push('disconnect');
  }

  call = (command: string, args: readonly string[]): Promise<unknown> => this.ask(command, ...args);
  subscribe = (channel: string): Promise<unknown> => this.ask('subscribe', channel);
  ssubscribe = (channel: string): Promise<unknown> => this.ask('ssubscribe', channel);
  unsubscribe = (channel: string): Promise<unknown> => this.ask('unsubscribe', channel);
  sunsubscribe = (channel: string): Promise<unknown> => this.ask('sunsubscribe', channel);
}

type Listener = (message: unknown, channel: string) => void;

/** As much of a client of node-redis 6. */
export class FakeNodeClient extends FakeClient {
  readonly isOpen = true;
  /** By channel. */
  readonly listeners_ = new Map<string, Listener>();

  get _keyPrefix(): string | undefined {
    return this.options['keyPrefix'] as string | undefined;
  }

  destroy(): void {
    this.asked.push('destroy');
  }

  sendCommand = (args: readonly string[]): Promise<unknown> => this.ask(...args);
  subscribe = (channel: string, listener: Listener): Promise<unknown> => this.listen('subscribe', channel, listener);
  sSubscribe = (channel: string, listener: Listener): Promise<unknown> => this.listen('sSubscribe', channel, listener);
  unsubscribe = (channel: string): Promise<unknown> => this.ask('unsubscribe', channel);
  sUnsubscribe = (channel: string): Promise<unknown> => this.ask('sUnsubscribe', channel);

  private listen(word: string, channel: string, listener: Listener): Promise<unknown> {
    this.listeners_.set(channel, listener);
    return this.ask(word, channel);
  }
}

/** A client of node-redis 4 or 5, which has no prefixes. */
export class OldNodeClient extends FakeNodeClient {
  override get _keyPrefix(): undefined {
    return undefined;
  }
}
