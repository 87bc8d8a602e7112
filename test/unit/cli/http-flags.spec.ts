import { describe, expect, it } from '@jest/globals';
import { DAEMON_FLAGS, daemonOptions, optionOf } from '../../../lib/cli/daemon-flags.js';
import { parseFlags, readEnv } from '../../../lib/cli/flags.js';
import { HTTP_DEFAULTS } from '../../../lib/daemon/shared/http-options.js';

const warned: string[] = [];
const optionsOf = (args: string[], env: Record<string, string> = {}) =>
  daemonOptions(
    parseFlags(DAEMON_FLAGS, args),
    readEnv(DAEMON_FLAGS, env, (text) => warned.push(text)),
  );

describe('the flags of the HTTP interface (spec 8, http 3.13)', () => {
  it.each<[string, string, string, unknown]>([
    ['http-port', 'DFLOCKD_HTTP_PORT', '6389', 6389],
    ['http-host', 'DFLOCKD_HTTP_HOST', '::1', '::1'],
    ['http-session-idle-timeout', 'DFLOCKD_HTTP_SESSION_IDLE_S', '30', 30],
    ['http-max-sessions', 'DFLOCKD_HTTP_MAX_SESSIONS', '7', 7],
    ['http-max-sessions-per-ip', 'DFLOCKD_HTTP_MAX_SESSIONS_PER_IP', '7', 7],
    ['http-max-connections-per-ip', 'DFLOCKD_HTTP_MAX_CONNECTIONS_PER_IP', '7', 7],
    ['http-rate-limit-per-ip', 'DFLOCKD_HTTP_RATE_LIMIT_PER_IP', '7', 7],
    ['http-rate-limit-burst', 'DFLOCKD_HTTP_RATE_LIMIT_BURST', '7', 7],
    ['http-sse-ping-interval', 'DFLOCKD_HTTP_SSE_PING_S', '7', 7],
    ['http-sse-keep-alive', 'DFLOCKD_HTTP_SSE_KEEP_ALIVE', 'true', true],
    ['http-cors-allowed-origins', 'DFLOCKD_HTTP_CORS_ALLOWED_ORIGINS', 'https://a, *,', ['https://a', ' *', '']],
  ])('-%s and %s', (flag, variable, text, value) => {
    expect(optionsOf([`-${flag}`, text])).toEqual({ [optionOf(flag)]: value });
    expect(optionsOf([], { [variable]: text })).toEqual({ [optionOf(flag)]: value });
    expect(warned).toEqual([]);
  });

  it('are all options of the interface', () => {
    const flags = DAEMON_FLAGS.map(({ name }) => optionOf(name)).filter((name) => name.startsWith('http'));
    expect(flags.sort()).toEqual(Object.keys(HTTP_DEFAULTS).sort());
  });
});
