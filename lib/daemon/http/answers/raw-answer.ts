import { STATUS_CODES } from 'node:http';
import type { Ms } from '../../../common/system.js';
import type { Answer, Head } from './answer.js';

/** An answer as bytes, for requests that Node's parser refuses; it ends the connection. @param wall for the header Date */
export function rawAnswer({ status, head, body }: Answer, cors: Head, wall: Ms): string {
  const text = body ?? '';
  const fields = [...head, ...(body === undefined ? [] : ['Content-Length', String(text.length)]), ...cors];
  let lines = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`;
  for (let i = 0; i < fields.length; i += 2) lines += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return `${lines}Date: ${new Date(wall).toUTCString()}\r\nConnection: close\r\n\r\n${text}`;
}
