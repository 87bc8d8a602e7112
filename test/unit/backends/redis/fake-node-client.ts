import { EventEmitter } from 'node:events';

export type Options = Record<string, unknown>;

/** As much of a client of node-redis as the driver uses; what is asked of it is in `asked`. */
export class FakeNodeClient extends EventEmitter {
  readonly isOpen = true;
  readonly asked: string[] = [];
  readonly made: FakeNodeClient[] = [];
  readonly listeners_ = new Map<string, (message: unknown, channel: string) => void>();
  connected!: () => void;
  failed!: (error: Error) => void;

  constructor(readonly options: Options = {}) {
    super();
  }

  duplicate(override: Options): FakeNodeClient {
    const one = new FakeNodeClient({ ...this.options, ...override });
    this.made.push(one);
    return one;
  }

  connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.connected = resolve;
      this.failed = reject;
    });
  }

  destroy(): void {
    this.asked.push('destroy');
  }

  async sendCommand(args: readonly string[]): Promise<string> {
    this.asked.push(args.join(' '));
    return 'reply';
  }

  async subscribe(channel: string, listener: () => void): Promise<void> {
    this.asked.push(`subscribe ${channel}`);
    this.listeners_.set(channel, listener);
  }

  async sSubscribe(channel: string, listener: () => void): Promise<void> {
    this.asked.push(`sSubscribe ${channel}`);
    this.listeners_.set(channel, listener);
  }

  async unsubscribe(channel: string): Promise<void> {
    this.asked.push(`unsubscribe ${channel}`);
  }

  async sUnsubscribe(channel: string): Promise<void> {
    this.asked.push(`sUnsubscribe ${channel}`);
  }
}
