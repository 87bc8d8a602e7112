import { Deferred } from './deferred.js';

type Place = 'acquired' | 'queued';

/** What `placed` of a Pending tells. Hardly anybody asks: there is no promise before. */
export class Placing {
  private deferred: Deferred<Place> | undefined;
  private outcome: { readonly place: Place } | { readonly error: unknown } | undefined;

  get promise(): Promise<Place> {
    if (!this.deferred) {
      this.deferred = new Deferred<Place>().quiet();
      this.settle();
    }
    return this.deferred.promise;
  }

  /** The first call counts, of this and of `failed`. */
  is(place: Place): void {
    if (this.outcome) return;
    this.outcome = { place };
    this.settle();
  }

  failed(error: unknown): void {
    if (this.outcome) return;
    this.outcome = { error };
    this.settle();
  }

  private settle(): void {
    const { deferred, outcome } = this;
    if (!deferred || !outcome) return;
    if ('place' in outcome) deferred.resolve(outcome.place);
    else deferred.reject(outcome.error);
  }
}
