import { isIPv6 } from 'node:net';
import { show } from './shown.js';

/** What no host name has, and no address. */
const NO_HOST = /[\s[\]/\\@?#,;"'<>{}|^`]/;

/** Why that is no host; undefined if it may be one. */
export function hostFault(host: string): string | undefined {
  if (host.includes('://')) return 'an address has no scheme';
  if (host.includes('@')) return 'an address has no user or password';
  if (/\S[\s,;]+\S/.test(host)) return 'give one address each';
  if (host === '' || NO_HOST.test(host)) return 'this is not a host name or address';
  if (host.includes(':') && !isIPv6(host)) return 'only an IPv6 address has more than one colon';
  return undefined;
}

/** For messages: nobody's user and password, whether there is a scheme before them or not. */
export function showAddress(value: unknown): string {
  if (Array.isArray(value)) {
    const parts = value.slice(0, 3).map((part: unknown) => (typeof part === 'string' ? hidden(part) : part));
    return show(parts);
  }
  return typeof value === 'string' ? show(hidden(value)) : show(value);
}

const hidden = (text: string): string => text.replace(/^((?:[^/]*\/\/)?)[\s\S]*@/, '$1***@');
