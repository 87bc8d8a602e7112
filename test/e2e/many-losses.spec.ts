import { afterEach, expect, it } from '@jest/globals';
import { DflockdModule, DflockdService } from '../../lib/entries/index.js';
import { boot, closeAll, daemon, LogBook, until, Wire } from './support.js';

afterEach(closeAll);

it('a thousand locks that a lost connection costs are one line of the log', async () => {
  const wire = await Wire.to(await daemon());
  const logger = new LogBook();
  const app = await boot({
    imports: [DflockdModule.forRoot({ servers: [wire.address], remote: { commandLanes: 1 }, logger })],
  });
  const locks = app.get(DflockdService);
  let lost = 0;
  locks.lockLost$.subscribe(() => lost++);
  await Promise.all(Array.from({ length: 1000 }, (_, i) => locks.acquire(`k${i}`)));
  wire.cut();
  await until(() => lost === 1000);
  await until(() => logger.matching(/lost:/).some((line) => line.startsWith('error')));
  expect(logger.matching(/^error/)).toEqual([
    expect.stringMatching(/^error Dflockd: 1000 locks lost: k\d+, k\d+, k\d+ and 997 more \(disconnected\), server /),
  ]);
});
