/** The placeholders of the corpus (dflockd/README.md). */

/** `{rep:N:TEXT}` written out. */
export const written = (text: string): string =>
  text.replace(/\{rep:(\d+):([^{}]*)\}/g, (_, count: string, what: string) => what.repeat(Number(count)));

const PLACEHOLDER = /\{(tok|int):([^{}:]+)\}|\{num(?::(-?[\d.]+):(-?[\d.]+))?\}/g;
const NUMBER = '(-?\\d+(?:\\.\\d+)?(?:[eE][+-]?\\d+)?)';

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** What the placeholders of one scenario stand for. */
export class Bindings {
  private readonly values = new Map<string, string>();
  /** Which name has a token. */
  private readonly tokens = new Map<string, string>();

  /** The bytes of a text to send. */
  fill(text: string): string {
    return written(text).replace(/\{(tok|up):([^{}:]+)\}/g, (_, how: string, name: string) => {
      const token = this.values.get(`tok:${name}`);
      if (token === undefined) throw new Error(`no token ${name} has been seen`);
      return how === 'up' ? token.toUpperCase() : token;
    });
  }

  /** Why `got` is not what `wanted` (placeholders, {rep} written out) says; undefined if it is. Notes what is new. */
  mismatch(wanted: string, got: string): string | undefined {
    const lines = wanted.split('\n');
    const gotLines = got.split('\n');
    for (const [i, line] of lines.entries()) {
      const why = gotLines[i] === undefined ? 'nothing more came' : this.mismatchOfLine(line, gotLines[i]);
      if (why)
        return `line ${i + 1}: ${why}\n  wanted ${JSON.stringify(line)}\n  got    ${JSON.stringify(gotLines[i])}`;
    }
    return gotLines.length > lines.length ? `too much: ${JSON.stringify(gotLines.slice(lines.length))}` : undefined;
  }

  private mismatchOfLine(wanted: string, got: string): string | undefined {
    const names: string[] = [];
    const bounds: [number, number][] = [];
    let pattern = '';
    let at = 0;
    for (const match of wanted.matchAll(PLACEHOLDER)) {
      const [whole, kind, name, lo, hi] = match;
      pattern += escaped(wanted.slice(at, match.index));
      at = match.index + whole.length;
      if (kind === undefined) {
        pattern += NUMBER;
        names.push('');
        bounds.push([Number(lo ?? -Infinity), Number(hi ?? Infinity)]);
        continue;
      }
      const id = `${kind}:${name}`;
      const known = this.values.get(id);
      const earlier = names.indexOf(id);
      if (known !== undefined) pattern += known;
      else if (earlier >= 0) pattern += `\\${earlier + 1}(?!\\d)`;
      else {
        pattern += kind === 'tok' ? '([0-9a-f]{32})' : '(\\d+)';
        names.push(id);
      }
    }
    const found = new RegExp(`^${pattern}${escaped(wanted.slice(at))}$`, 's').exec(got);
    if (!found) return 'another text';
    for (const [i, id] of names.entries()) {
      const value = found[i + 1]!;
      const why = id === '' ? outside(bounds.shift()!, Number(value)) : this.note(id, value);
      if (why) return why;
    }
    return undefined;
  }

  private note(id: string, value: string): string | undefined {
    this.values.set(id, value);
    if (!id.startsWith('tok:')) return undefined;
    const other = this.tokens.get(value);
    if (other !== undefined) return `${id} is the same token as ${other}`;
    this.tokens.set(value, id);
    return undefined;
  }
}

const outside = ([lo, hi]: [number, number], value: number): string | undefined =>
  value < lo || value > hi ? `${value} is not within ${lo} and ${hi}` : undefined;
