import type { Socket } from 'node:net';
import { type ListeningAddress, type OpenPort, openPort } from './open-port.js';

/** The port of a listener: is opened, perhaps given up and opened again, and stopped for good. */
export class ListeningPort {
  private port: OpenPort | undefined;
  private opening: Promise<OpenPort> | undefined;
  private stopped = false;

  /**
   * @param accept gets the connections until `stop`
   * @param failed called when a connection could not be accepted
   */
  constructor(
    private readonly accept: (socket: Socket) => void,
    private readonly failed: (error: Error) => void,
  ) {}

  /** undefined before `open` has resolved and after `stop`. */
  get address(): ListeningAddress | undefined {
    return this.stopped ? undefined : this.port?.address;
  }

  get isStopped(): boolean {
    return this.stopped;
  }

  /** @throws ConfigError as `openPort` does */
  async open(host: string, port: number): Promise<void> {
    this.opening = openPort(host, port, (socket) => this.admit(socket), this.failed);
    try {
      this.port = await this.opening;
    } finally {
      this.opening = undefined;
    }
  }

  /** Closes the port; `open` may follow. */
  giveUp(): void {
    this.port?.close();
    this.port = undefined;
  }

  /** Closes the port. @returns a promise only if it was still being opened */
  stop(): Promise<void> | undefined {
    this.stopped = true;
    this.port?.close();
    return this.opening?.then((port) => port.close()).catch(() => undefined);
  }

  private admit(socket: Socket): void {
    // Without a listener an error event would throw.
    socket.on('error', () => {});
    if (this.stopped) socket.destroy();
    else this.accept(socket);
  }
}
