// This package, through its public API.

import { clientLockers } from './client-lockers.mjs';

/** @param {{ entry: string, options: object }} where `entry`: URL of the build's entries/client.js */
async function connect({ entry, options }) {
  const { LockClient } = await import(entry);
  return LockClient.connect(options);
}

export const { open, openHot } = clientLockers(connect);
