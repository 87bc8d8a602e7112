const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

export const whole = (n) => WHOLE.format(n);
export const ratio = (n) => n.toFixed(n < 10 ? 2 : 1);
export const percent = (n) => `${Math.round(n * 100)} %`;
/** A median with its quartiles. */
export const withSpread = ({ median, q1, q3 }, format) => `${format(median)} (${format(q1)}–${format(q3)})`;
/** A fraction as a percentage with one decimal, for small differences. */
export const finePercent = (part) => `${(part * 100).toFixed(1)} %`;
