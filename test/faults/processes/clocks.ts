import { type Clock, systemClock } from '../../../lib/common/system.js';

/** `slow`: its monotonic clock runs at a third of the machine's pace, while the uptime does not. */
export type ClockKind = 'system' | 'slow';

const PACE = 0.3;

/** A clock whose machine can be put to sleep, or whose wall clock can be set. */
export function clockOf(kind: ClockKind): { clock: Clock; jump(what: 'suspend' | 'wall', ms: number): void } {
  let slept = 0;
  let set = 0;
  const began = systemClock.now();
  const pace = kind === 'slow' ? PACE : 1;
  const clock: Clock = {
    ...systemClock,
    now: () => began + (systemClock.now() - began) * pace,
    setTimer: (fn, delay, keepAlive) => systemClock.setTimer(fn, delay / pace, keepAlive),
    uptime: () => systemClock.uptime() + slept,
    wall: () => systemClock.wall() + slept + set,
  };
  const jump = (what: 'suspend' | 'wall', ms: number): void => {
    if (what === 'suspend') slept += ms;
    else set += ms;
  };
  return { clock, jump };
}
