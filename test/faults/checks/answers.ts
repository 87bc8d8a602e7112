import { type Evidence, stalledWithin, type Violation } from '../log/evidence.js';
import { millis } from '../log/time.js';
import { ALLOWED } from './limits.js';

/** Every caller is answered by its deadline; the time in which its process did not run does not count. */
export function checkAnswers({ calls, stalls }: Evidence): Violation[] {
  const found: Violation[] = [];
  for (const { worker, client, key, invokedAt, deadlineAt, answeredAt, outcome, excused } of calls) {
    if (answeredAt === undefined) {
      if (excused) continue;
      found.push({ check: 'answers', at: invokedAt, text: `${worker}/${client}: ${key} was never answered` });
      continue;
    }
    const late = answeredAt - deadlineAt;
    if (late <= ALLOWED.answerNs) continue;
    if (late - stalledWithin(stalls.get(worker) ?? [], invokedAt, answeredAt) <= ALLOWED.answerNs) continue;
    const text = `${worker}/${client}: ${key} was answered (${outcome}) ${millis(late).toFixed(0)} ms after its deadline`;
    found.push({ check: 'answers', at: answeredAt, text });
  }
  return found;
}
