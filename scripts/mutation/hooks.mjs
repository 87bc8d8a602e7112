// Lets Node import TypeScript as jest does, with the options of jest.config.mjs.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { transform } from '@swc/core';
import config from '../../jest.config.mjs';

const [[, [, options]]] = Object.entries(config.transform);
const GLOBALS = new URL('./jest-globals.mjs', import.meta.url).href;

/** Sources, transformed once however often they are loaded. */
const codes = new Map();

async function codeOf(filename) {
  const { code } = await transform(await readFile(filename, 'utf8'), { ...options, filename });
  codes.set(filename, code);
  return code;
}

/** The imports of a module are loaded as often as the module itself: `?load=N` is passed on. */
export async function resolve(specifier, context, next) {
  if (specifier === '@jest/globals') return { url: GLOBALS, shortCircuit: true };
  const { parentURL } = context;
  if (specifier.startsWith('.') && parentURL && new URL(parentURL).pathname.endsWith('.ts')) {
    const url = new URL(specifier.replace(/\.js$/, '.ts'), parentURL);
    if (existsSync(url)) return { url: url.href + new URL(parentURL).search, shortCircuit: true };
  }
  return next(specifier, context);
}

export async function load(url, context, next) {
  const { protocol, pathname } = new URL(url);
  if (protocol !== 'file:' || !pathname.endsWith('.ts')) return next(url, context);
  const filename = fileURLToPath(url);
  return { format: 'module', source: codes.get(filename) ?? (await codeOf(filename)), shortCircuit: true };
}
