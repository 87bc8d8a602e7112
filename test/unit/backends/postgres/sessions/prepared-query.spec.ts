import { beforeEach, describe, expect, it } from '@jest/globals';
import type { PgWire } from '../../../../../lib/backends/postgres/sessions/pg-client.js';
import { PreparedQuery } from '../../../../../lib/backends/postgres/sessions/prepared-query.js';

/** The connection of a client of pg, which writes down what it is told to send. */
class Wire implements PgWire {
  readonly said: unknown[] = [];
  readonly parsedStatements: Record<string, string> = {};
  readonly stream = {
    cork: (): void => void this.said.push('cork'),
    uncork: (): void => void this.said.push('uncork'),
  };
  parse = (message: object): void => void this.said.push(['parse', message]);
  bind = (message: object): void => void this.said.push(['bind', message]);
  execute = (message: object): void => void this.said.push(['execute', message]);
  sync = (): void => void this.said.push('sync');
}

describe('a prepared query', () => {
  let wire: Wire;
  let told: unknown[];
  const query = (values: readonly unknown[] = []): PreparedQuery =>
    new PreparedQuery('dflockd_a', 'select $1', values, (error, { rows }) => told.push(error ?? rows));

  beforeEach(() => {
    wire = new Wire();
    told = [];
  });

  it('is parsed and run in one write, with its values as text, and asks for no description', () => {
    query(['7', 8]).submit(wire);
    expect(wire.said).toEqual([
      'cork',
      ['parse', { name: 'dflockd_a', text: 'select $1' }],
      ['bind', { statement: 'dflockd_a', values: ['7', '8'] }],
      ['execute', {}],
      'sync',
      'uncork',
    ]);
  });

  it('is not parsed again once the server has it', () => {
    wire.parsedStatements['dflockd_a'] = 'select $1';
    query().submit(wire);
    expect(wire.said[1]).toEqual(['bind', { statement: 'dflockd_a', values: [] }]);
  });

  it('leaves the stream uncorked if it cannot be sent', () => {
    wire.bind = () => {
      throw new Error('closed');
    };
    expect(() => query().submit(wire)).toThrow('closed');
    expect(wire.said.at(-1)).toBe('uncork');
  });

  it('works on a stream that cannot be corked', () => {
    const { said, parsedStatements, parse, bind, execute, sync } = wire;
    query().submit({ stream: {}, parsedStatements, parse, bind, execute, sync });
    expect(said.at(-1)).toBe('sync');
  });

  it('is written message by message with pg 8.0, which reuses its buffer', () => {
    query().submit(Object.assign(wire, { writer: {} }));
    expect(wire.said).toHaveLength(4);
    expect([wire.said[0], wire.said[3]]).toEqual([['parse', { name: 'dflockd_a', text: 'select $1' }], 'sync']);
  });

  it('tells its rows once the server is ready, or the error at once', () => {
    const answered = query();
    answered.handleDataRow({ fields: ['1', null] });
    answered.handleCommandComplete();
    expect(told).toEqual([]);
    answered.handleReadyForQuery();
    const error = new Error('refused');
    query().handleError(error);
    expect(told).toEqual([[['1', null]], error]);
  });
});
