import { cpus, loadavg } from 'node:os';
import { percent, ratio, whole, withSpread } from './format.mjs';

/** Where and when the figures were measured. */
export const circumstances = () => ({
  date: new Date().toISOString(),
  node: process.version,
  platform: `${process.platform} ${process.arch}`,
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  loadAverage: loadavg().map((load) => Number(load.toFixed(2))),
});

/** The line with the circumstances, above all tables. */
export const headline = ({ date, node, platform, cpu, cores, loadAverage }) =>
  `${date}, node ${node}, ${platform}, ${cores} × ${cpu}, load average ${loadAverage.join(' ')}\n`;

/** The table of a group. @param {ReturnType<import('./measure.mjs').summarize>} figures */
export function markdown({ title, notes = [] }, figures, plan) {
  const header = [
    'contestant',
    'per second (quartiles)',
    '× first line',
    'goal',
    'CPU client',
    'CPU server',
    'µs each',
  ];
  const rows = figures.map((f) => [
    f.name,
    `${whole(f.perSecond.median)} ${f.unit} (${whole(f.perSecond.q1)}–${whole(f.perSecond.q3)})`,
    withSpread(f.toFirst, ratio),
    f.goals.map(goalText).join('; '),
    f.cpu.client ? percent(f.cpu.client.share) : '',
    f.cpu.server ? percent(f.cpu.server.share) : '',
    (f.cpu.server ?? f.cpu.client)?.usEach.toFixed(2) ?? '',
  ]);
  return [
    '',
    `## ${title}`,
    '',
    `Medians of ${plan.rounds} interleaved slices of ${plan.sliceMs} ms.`,
    ...notes,
    '',
    line(header),
    line(['---', '---:', '---:', '---', '---:', '---:', '---:']),
    ...rows.map(line),
    '',
    ...figures.flatMap(comparisons),
    '',
  ].join('\n');
}

/** A line of a table. */
export const line = (cells) => `| ${cells.join(' | ')} |`;

function goalText({ text, value, met, shown }) {
  if (value === undefined) return `${text}: not measured`;
  if (met === undefined) return `${text}: ${withSpread(value, ratio)}`;
  return `${text}: ${met ? 'met' : 'missed'}${shown ? `, ${withSpread(value, ratio)}` : ''}`;
}

const comparisons = ({ name, versus }) =>
  versus.map(
    ({ name: other, rate, serverCpu }) =>
      `- ${name}: ${withSpread(rate, ratio)} × ${other}` +
      (serverCpu === undefined ? '' : `; counted in the server's CPU time alone: ${ratio(serverCpu)}`),
  );

/** What the words in the tables mean. */
export const LEGEND = [
  '',
  'A pair is an acquire and its release; for an echo server, two round trips with as many bytes up.',
  '× first line: the ratio to the first line, round by round. CPU: shares of one core, all threads of a process together.',
  'µs each: CPU time of the server (of the client, where there is none) for each thing counted.',
  'A client near 100 % is what limits the figure: the server could do more. Both far below it, where more than one request',
  'is under way: the machine was busy with something else, and only ratios count.',
  '',
].join('\n');
