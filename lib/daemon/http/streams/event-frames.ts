import { quoteBytes } from '../../../core/json-text.js';

/** Signals as server-sent events. All listeners of a signal get the same string: it is made once. */
export class EventFrames {
  private channel = '';
  private payload = '';
  private frame = '';

  /** @returns a byte string */
  of(channel: string, payload: string): string {
    if (this.frame !== '' && channel === this.channel && payload === this.payload) return this.frame;
    this.channel = channel;
    this.payload = payload;
    this.frame = `event: sig\ndata: {"channel":${quoteBytes(channel)},"payload":${quoteBytes(payload)}}\n\n`;
    return this.frame;
  }
}
