import { cpus, loadavg } from 'node:os';

const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const whole = (n) => WHOLE.format(n);
const ratio = (n) => n.toFixed(n < 10 ? 2 : 1);
const percent = (n) => `${Math.round(n * 100)} %`;

/** Where and when it was measured. */
export const circumstances = () => ({
  date: new Date().toISOString(),
  node: process.version,
  platform: `${process.platform} ${process.arch}`,
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  loadAverage: loadavg().map((load) => Number(load.toFixed(2))),
});

/** @param {ReturnType<import('./measure.mjs').summarize>} figures */
export function markdown(figures, plan, where) {
  const header = ['contestant', 'per second (quartiles)', 'ping-pongs', 'goal', 'CPU client', 'CPU server', 'µs each'];
  const rows = figures.map((f) => [
    f.name,
    `${whole(f.perSecond.median)} ${f.unit} (${whole(f.perSecond.q1)}–${whole(f.perSecond.q3)})`,
    `${ratio(f.toBaseline.median)} (${ratio(f.toBaseline.q1)}–${ratio(f.toBaseline.q3)})`,
    goalText(f),
    f.cpu.client ? percent(f.cpu.client.share) : '',
    f.cpu.server ? percent(f.cpu.server.share) : '',
    (f.cpu.server ?? f.cpu.client)?.usEach.toFixed(2) ?? '',
  ]);
  const { node, platform, cpu, cores, loadAverage, date } = where;
  return [
    `${date}, node ${node}, ${platform}, ${cores} × ${cpu}, load average ${loadAverage.join(' ')}`,
    `medians of ${plan.rounds} interleaved slices of ${plan.sliceMs} ms`,
    '',
    line(header),
    line(['---', '---:', '---:', '---', '---:', '---:', '---:']),
    ...rows.map(line),
    '',
    ...figures.filter((f) => f.versus).map(comparison),
    ...LEGEND,
    '',
  ].join('\n');
}

const line = (cells) => `| ${cells.join(' | ')} |`;

function goalText({ goal, versus }) {
  if (!goal) return '';
  const want = goal.perSecond ? `≥ ${whole(goal.perSecond)}` : `≥ ${goal.ratio} × echo`;
  const have = versus ? ` (${ratio(versus.rate.median)})` : '';
  return `${want}: ${goal.met ? 'met' : 'missed'}${have}`;
}

function comparison({ name, versus }) {
  const { rate, serverCpu, name: other } = versus;
  return (
    `${name}: ${ratio(rate.median)} (${ratio(rate.q1)}–${ratio(rate.q3)}) × ${other}` +
    `; counted in the server's CPU time alone: ${ratio(serverCpu)}`
  );
}

const LEGEND = [
  '',
  'A pair is an acquire and its release; for an echo server, two round trips with as many bytes up.',
  'ping-pongs: the ratio to the first line, round by round. CPU: shares of one core, all threads of the process together.',
  'µs each: CPU time of the server (of the engine, where it is alone) for each thing counted.',
  'A client near 100 % is what limits the figure: the server could do more. Both far below it, where more than one request',
  'is under way: the machine was busy with something else, and only ratios count.',
];
