/** The state that follows each state on each event. An event that is missing cannot happen in that state. */
export type Transitions<State extends string, Event extends string> = Readonly<
  Record<State, Readonly<Partial<Record<Event, State>>>>
>;

/** Throws: the table of the machine does not list the event. @param machine its name with the article, for the message */
export function impossible(machine: string, state: string, event: string): never {
  throw new Error(`${machine} that is ${state} cannot "${event}"`);
}

/**
 * The transition function of a state machine. Throws on an event that the table does not list for the state. V8 shares what it
 * learns about property accesses among all functions made here: a machine on a hot path has a function of its own instead,
 * which reads its table and calls `impossible`.
 * @param machine its name with the article, for the message
 */
export const transitions =
  <State extends string, Event extends string>(machine: string, table: Transitions<State, Event>) =>
  (state: State, event: Event): State =>
    table[state][event] ?? impossible(machine, state, event);
