import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { firstPort, freePort, isFree, nthPort } from './free-port.mjs';

describe('a free port', () => {
  it('is free, and given once', async () => {
    const ports = await Promise.all(Array.from({ length: 120 }, freePort));
    expect(new Set(ports).size).toBe(120);
    await expect(Promise.all(ports.map(isFree))).resolves.toEqual(ports.map(() => true));
  });

  it('is given once in a process, however many copies of the module it loads', async () => {
    const before = await freePort();
    const again = './free-port.mjs?again';
    const copy = (await import(again)) as { freePort: typeof freePort };
    expect(copy.freePort).not.toBe(freePort);
    const ports = [before, await copy.freePort(), await freePort(), await copy.freePort()];
    expect(new Set(ports).size).toBe(4);
  });

  it('is no port that the system gives for port 0 or to a connection, which could then connect to itself', async () => {
    const file = '/proc/sys/net/ipv4/ip_local_port_range';
    const [lowest, highest] = existsSync(file) ? readFileSync(file, 'utf8').split(/\s+/).map(Number) : [49_152, 65_535];
    const port = await freePort();
    expect(port < lowest! || port > highest!).toBe(true);
  });

  it.each([
    ['usual', 32_768, 60_999, 10_000],
    ['low', 10_000, 40_000, 40_001],
    ['everything', 1024, 65_535, 10_000],
  ])('lies outside of the range of the system where there is room: %s', (_, lowest, highest, first) => {
    expect(firstPort([lowest, highest])).toBe(first);
  });

  it('is none of those that processes with near ids get', () => {
    const PROCESSES = 20;
    const EACH = 300;
    const ports = Array.from({ length: PROCESSES }, (_, i) =>
      Array.from({ length: EACH }, (__, n) => nthPort(4_000 + i, n)),
    ).flat();
    expect(new Set(ports).size).toBe(PROCESSES * EACH);
  });

  it('comes from all 10,000 before one is given again', () => {
    const ports = Array.from({ length: 10_000 }, (_, n) => nthPort(77, n, 10_000));
    expect(new Set(ports).size).toBe(10_000);
    expect([Math.min(...ports), Math.max(...ports)]).toEqual([10_000, 19_999]);
  });
});
