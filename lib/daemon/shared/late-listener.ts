import { ConfigError } from '../../common/errors.js';
import type { Listener } from './listener.js';
import type { ListeningAddress } from './open-port.js';

/** A listener whose code is loaded when it is opened: a server without it loads nothing of it. */
export class LateListener implements Listener {
  private listener: Listener | undefined;
  private isStopped = false;

  constructor(private readonly load: () => Promise<Listener>) {}

  get address(): ListeningAddress | undefined {
    return this.listener?.address;
  }

  get openConnections(): number {
    return this.listener?.openConnections ?? 0;
  }

  async open(): Promise<void> {
    this.listener ??= await this.load();
    if (this.isStopped) throw new ConfigError('the server is closed');
    await this.listener.open();
  }

  giveUp(): void {
    this.listener?.giveUp();
  }

  stop(): Promise<void> | undefined {
    this.isStopped = true;
    return this.listener?.stop();
  }

  drain(isEngineDrained: boolean): void {
    this.listener?.drain(isEngineDrained);
  }

  whenEmpty(): Promise<void> {
    return this.listener?.whenEmpty() ?? Promise.resolve();
  }

  cutOff(): void {
    this.listener?.cutOff();
  }

  close(): void {
    this.listener?.close();
  }
}
