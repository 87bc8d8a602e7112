/** The state that follows each state on each event. An event that is missing cannot happen in that state. */
export type Transitions<State extends string, Event extends string> = Readonly<
  Record<State, Readonly<Partial<Record<Event, State>>>>
>;

/**
 * The transition function of a state machine. Throws on an event that the table does not list for the state.
 * @param machine its name with the article, for the message
 */
export const transitions =
  <State extends string, Event extends string>(machine: string, table: Transitions<State, Event>) =>
  (state: State, event: Event): State => {
    const next = table[state][event];
    if (next === undefined) throw new Error(`${machine} that is ${state} cannot "${event}"`);
    return next;
  };
