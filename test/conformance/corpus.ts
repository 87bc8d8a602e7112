import { readdirSync, readFileSync } from 'node:fs';

/** [mark, lo, hi]: between lo and hi milliseconds after the mark. */
export type Within = [mark: string, lo: number, hi: number];

/** What a step does, and to what (dflockd/README.md). Bytes are latin1 strings. */
export type Step =
  | { open: string }
  | { send: [connection: string, bytes: string] }
  | { trickle: [connection: string, bytes: string, ms: number] }
  | { expect: [connection: string, text: string]; within?: Within }
  | { silent: [connection: string, ms: number] }
  | { closed: [connection: string, ms: number]; within?: Within }
  | { end: string }
  | { destroy: string }
  | { reset: string }
  | { pause: string }
  | { sleep: number }
  | { mark: string }
  | { signal: 'SIGTERM' | 'SIGINT' }
  | { refused: true }
  | { exit: number; within?: Within };

/** Flags of the server, without dashes, that differ from the defaults. */
export type ServerFlags = Readonly<Record<string, string | number | boolean>>;

export interface Scenario {
  name: string;
  section: string;
  about: string;
  server?: ServerFlags;
  /** Needs a server of its own. */
  fresh?: boolean;
  slow?: boolean;
  steps: Step[];
  /** What the 1.16 line answers, where it differs. */
  steps1_16?: Step[];
}

/** Which version's answers are wanted. */
export type Line = '1.10' | '1.16';

export interface CorpusFile {
  file: string;
  scenarios: Scenario[];
}

const FOLDER = new URL('dflockd/', import.meta.url);

/** The recorded scenarios, by file. */
export const corpus = (): CorpusFile[] =>
  readdirSync(FOLDER)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => ({
      file: name.replace('.json', ''),
      scenarios: JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as Scenario[],
    }));

export const stepsOf = (scenario: Scenario, line: Line): Step[] =>
  (line === '1.16' ? scenario.steps1_16 : undefined) ?? scenario.steps;

/** Whether it speaks to the process of the server, not only to its connections. */
export const needsProcess = (steps: Step[]): boolean =>
  steps.some((step) => 'signal' in step || 'exit' in step || 'refused' in step);

/** Whether its outcome depends on how fast the machine is. */
export const isTimed = (steps: Step[]): boolean => steps.some((step) => 'within' in step);
