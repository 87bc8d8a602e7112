/** A try on the command connection. */
export interface Trial {
  /** Nobody wants it any more: what it is granted is released, and nobody is told. */
  isDropped: boolean;
  /** Its answer is `won`, `refused` or `tryFailed`, perhaps before this returns. */
  send(): void;
}
