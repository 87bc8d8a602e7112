import { Fates } from '../checks/fates.js';
import type { Row } from '../table/row.js';

const WIDTH = 860;
const LEFT = 130;
const RIGHT = 30;
const LANE = 46;
const TOP = 70;
const COLOURS = { holder: '#2563eb', rival: '#059669', daemon: '#64748b', fault: '#dc2626' };

/** What is drawn: one lock behind a black hole, as holder, daemon and rival saw it. Nanoseconds. */
interface Story {
  readonly granted: number;
  readonly told: number;
  readonly fault: number;
  readonly freed: number;
  readonly rivalGranted: number;
  readonly rivalEnd: number;
}

/** An SVG of the most telling case among what was measured; undefined if that was not measured. */
export function timeline(rows: readonly Row[]): string | undefined {
  const row = rows.find(({ fault }) => fault === 'black hole both ways');
  const story = row && storyOf(row);
  return story && draw(story);
}

function storyOf({ evidence, faultAt }: Row): Story | undefined {
  const fates = new Fates(evidence);
  for (const hold of evidence.holds) {
    const fate = fates.of(hold);
    if (hold.lostAt === undefined || fate?.freedAt === undefined || faultAt === undefined) continue;
    const rival = evidence.holds.find(({ key, fence }) => key === hold.key && fence > hold.fence);
    if (!rival) continue;
    const rivalEnd = rival.grantedAt + 400e6;
    return {
      ...{ granted: hold.grantedAt, told: hold.lostAt, fault: faultAt, freed: fate.freedAt },
      ...{ rivalGranted: rival.grantedAt, rivalEnd },
    };
  }
  return undefined;
}

function draw({ granted, told, fault, freed, rivalGranted, rivalEnd }: Story): string {
  const from = Math.min(granted, fault) - 100e6;
  const x = (at: number): number =>
    Math.round((LEFT + ((at - from) / (rivalEnd - from)) * (WIDTH - LEFT - RIGHT)) * 10) / 10;
  const ms = (at: number): string => `${((at - fault) / 1e6).toFixed(0)} ms`;
  const lane = (i: number): number => TOP + i * LANE;
  const bar = (i: number, begin: number, end: number, colour: string, text: string): string =>
    `<rect x="${x(begin)}" y="${lane(i)}" width="${Math.max(1, x(end) - x(begin))}" height="24" rx="3" fill="${colour}"/>` +
    `<text x="${x(begin) + 8}" y="${lane(i) + 16}" fill="#fff">${text}</text>`;
  const mark = (at: number, colour: string, y: number, text: string, anchor: string, dash = ''): string =>
    `<line x1="${x(at)}" y1="${TOP - 8}" x2="${x(at)}" y2="${lane(3)}" stroke="${colour}" ${dash}/>` +
    `<text x="${x(at)}" y="${y}" fill="${colour}" text-anchor="${anchor}">${text}</text>`;
  const height = lane(3) + 60;
  const name = (i: number, text: string): string => `<text x="12" y="${lane(i) + 16}" fill="#334155">${text}</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="13" role="img" aria-label="A holder behind a black hole is told before the daemon frees its lock">
<rect width="${WIDTH}" height="${height}" fill="#fff"/>
<text x="12" y="24" font-size="15" font-weight="600" fill="#0f172a">A holder falls into a black hole; a rival waits (read timeout 2 s)</text>
${name(0, 'holder believes')}${name(1, 'daemon counts')}${name(2, 'rival believes')}
${bar(0, granted, told, COLOURS.holder, 'isHeld is true')}
${bar(1, granted, freed, COLOURS.daemon, "the holder's")}${bar(1, freed, rivalEnd, COLOURS.rival, '')}
${bar(2, rivalGranted, rivalEnd, COLOURS.rival, 'isHeld')}
${mark(fault, COLOURS.fault, TOP - 14, 'nothing passes any more', 'middle', 'stroke-dasharray="4 3"')}
${mark(told, COLOURS.holder, lane(3) + 18, `holder told: ${ms(told)}`, 'end')}
${mark(freed, COLOURS.daemon, lane(3) + 36, `daemon frees: ${ms(freed)}`, 'middle')}
${mark(rivalGranted, COLOURS.rival, lane(3) + 54, `rival granted: ${ms(rivalGranted)}`, 'middle', 'stroke-dasharray="2 2"')}
</svg>
`;
}
