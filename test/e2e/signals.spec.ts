import { afterEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import {
  ConfigError,
  DflockdModule,
  DflockdService,
  DflockdSignals,
  getDflockdSignalsToken,
  InjectDflockdSignals,
} from '../../lib/entries/index.js';
import { boot, closeAll, daemon, until } from './support.js';

afterEach(closeAll);

describe.each(['embedded', 'a daemon'])('DflockdSignals, on %s', (where) => {
  const optionsOf = async () =>
    where === 'embedded'
      ? { embedded: true as const, logger: false as const }
      : { servers: [await daemon()], logger: false as const };

  it('emits to those who listen, until the application shuts down', async () => {
    @Injectable()
    class Orders {
      readonly placed: string[] = [];
      done = false;
      constructor(readonly signals: DflockdSignals) {
        signals.signal$('order.*.placed').subscribe({
          next: ({ channel, payload }) => this.placed.push(`${channel} ${payload}`),
          complete: () => (this.done = true),
        });
      }
    }
    const app = await boot({ imports: [DflockdModule.forRoot(await optionsOf())], providers: [Orders] });
    const orders = app.get(Orders);
    await until(async () => (await orders.signals.emit('order.7.placed', '{"sum":3}')) === 1);
    await until(() => orders.placed.length > 0);
    expect(orders.placed[0]).toBe('order.7.placed {"sum":3}');
    await app.close();
    expect(orders.done).toBe(true);
  });

  it('belongs to its instance', async () => {
    @Injectable()
    class Both {
      constructor(
        readonly plain: DflockdSignals,
        @InjectDflockdSignals('other') readonly other: DflockdSignals,
      ) {}
    }
    const app = await boot({
      imports: [
        DflockdModule.forRoot(await optionsOf()),
        DflockdModule.forRoot({ ...(await optionsOf()), instance: 'other' }),
      ],
      providers: [Both],
    });
    const { plain, other } = app.get(Both);
    expect(other).toBe(app.get(getDflockdSignalsToken('other'), { strict: false }));
    const heard: string[] = [];
    other.signal$('x').subscribe(({ payload }) => heard.push(payload));
    await until(async () => (await other.emit('x', 'mine')) === 1);
    expect(await plain.emit('x', 'not yours')).toBe(0);
    await until(() => heard.length > 0);
    expect(new Set(heard)).toEqual(new Set(['mine']));
  });
});

it('DflockdSignals says so when its service has been overridden', async () => {
  const { Test } = await import('@nestjs/testing');
  const app = await Test.createTestingModule({ imports: [DflockdModule.forRoot({ embedded: true, logger: false })] })
    .overrideProvider(DflockdService)
    .useValue({})
    .compile();
  const signals = app.get(DflockdSignals);
  expect(() => signals.signal$('x')).toThrow(ConfigError);
  await expect(signals.emit('x', 'y')).rejects.toThrow(ConfigError);
  await app.close();
});
