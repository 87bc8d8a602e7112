import { expect } from '@jest/globals';

export interface TransitionTable {
  readonly events: readonly string[];
  readonly rows: readonly { readonly state: string; readonly next: readonly string[] }[];
}

/** Reads a table: the events, then a line for each state with what follows it; `-` where the event cannot happen. */
export function transitionTable(text: string): TransitionTable {
  const [head, ...rows] = text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  return { events: head!, rows: rows.map(([state, ...next]) => ({ state: state!, next })) };
}

/** What follows; `-` if the transition function throws as it should. @param machine with its article */
export function outcome(machine: string, step: () => string, state: string, event: string): string {
  try {
    return step();
  } catch (error) {
    expect((error as Error).message).toBe(`${machine} that is ${state} cannot "${event}"`);
    return '-';
  }
}

/** One row of cases for each state: `[state, what follows on each event, what should]`. */
export function everyTransition<State extends string, Event extends string>(
  machine: string,
  next: (state: State, event: Event) => State,
  text: string,
): [state: string, check: () => void][] {
  const { events, rows } = transitionTable(text);
  return rows.map(({ state, next: expected }) => [
    state,
    () => {
      const are = events.map((event) => outcome(machine, () => next(state as State, event as Event), state, event));
      expect(Object.fromEntries(events.map((event, i) => [event, are[i]]))).toEqual(
        Object.fromEntries(events.map((event, i) => [event, expected[i]])),
      );
    },
  ]);
}
