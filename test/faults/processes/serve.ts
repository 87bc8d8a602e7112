/** A question of the lab to one of its processes. */
export interface Question {
  readonly id: number;
  readonly what: string;
  readonly args: readonly unknown[];
}

export interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** What a process can do when the lab asks for it. */
export type Duties = Readonly<Record<string, (...args: any[]) => unknown>>;

/** Answers the lab's questions over IPC; ends when the lab is gone. */
export function serve(duties: Duties): void {
  process.on('message', (question: Question) => void answer(duties, question));
  process.on('disconnect', () => process.exit(0));
  process.send!({ id: 0, value: 'ready' } satisfies Answer);
}

async function answer(duties: Duties, { id, what, args }: Question): Promise<void> {
  try {
    const duty = duties[what];
    if (!duty) throw new Error(`no such duty: ${what}`);
    process.send!({ id, value: await duty(...args) });
  } catch (error) {
    process.send!({ id, error: (error as Error).stack ?? String(error) });
  }
}
