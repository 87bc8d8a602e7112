// The engine alone: no sockets, no parsing. Distinct keys, one session, requests created beforehand.
import { answer, measured } from '../support/child.mjs';

const [, , engineUrl, tokensUrl, systemUrl, typesUrl] = process.argv;
const { Engine } = await import(engineUrl);
const { FencedTokens, fenceSeed } = await import(tokensUrl);
const { systemEntropy } = await import(systemUrl);
const { DEFAULT_ENGINE_OPTIONS } = await import(typesUrl);

const KEYS = 1000;
const now = performance.now();
const engine = new Engine(DEFAULT_ENGINE_OPTIONS, new FencedTokens(systemEntropy, fenceSeed(Date.now())), now);

let last;
const sink = { reply: (_op, reply) => void (last = reply), push: () => true, evict() {} };
const session = engine.open(sink, 'bench');
const keys = Array.from({ length: KEYS }, (_, i) => `bench:${String(i).padStart(4, '0')}`);
const acquires = keys.map((key) => ({ t: 'acquire', kind: 'lock', key, limit: 1, waitMs: 0, leaseMs: 0 }));
const releases = keys.map((key) => ({ t: 'release', kind: 'lock', key, token: '' }));
let op = 0;

/** Acquires all keys, then releases all, like a pipelining client of this depth. */
function round() {
  const time = performance.now();
  for (let i = 0; i < KEYS; i++) {
    engine.exec(session, ++op, acquires[i], time);
    if (last.s !== 'granted') throw new Error(`acquire: ${last.s}`);
    releases[i].token = last.token;
  }
  for (let i = 0; i < KEYS; i++) {
    engine.exec(session, ++op, releases[i], time);
    if (last.s !== 'ok') throw new Error(`release: ${last.s}`);
  }
  engine.advance(time, time);
}

answer({
  slice: (ms) =>
    measured(() => {
      const end = performance.now() + ms;
      let pairs = 0;
      do {
        round();
        pairs += KEYS;
      } while (performance.now() < end);
      return pairs;
    }),
});
