import type { Linked } from './linked-list.js';

/** An element of a LinkedList that does not show the others when it is printed or compared. */
export abstract class HiddenLink<T> implements Linked<T> {
  #prev: T | undefined = undefined;
  #next: T | undefined = undefined;

  get prev(): T | undefined {
    return this.#prev;
  }

  set prev(other: T | undefined) {
    this.#prev = other;
  }

  get next(): T | undefined {
    return this.#next;
  }

  set next(other: T | undefined) {
    this.#next = other;
  }
}
