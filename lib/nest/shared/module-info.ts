import type { ModulesContainer } from '@nestjs/core';
import { ConfigError } from '../../common/errors.js';
import { MODULE_INFO } from './dflockd.constants.js';
import { MESSAGES } from './dflockd.messages.js';

/** Nest's Module: a node of the application, with its registered providers. */
export type NestModule = ModulesContainer extends Map<string, infer M> ? M : never;
export type NestWrapper = NestModule['providers'] extends Map<any, infer W> ? W : never;

/** What a DflockdModule tells the others of its application, before anything is constructed. */
export interface ModuleInfo {
  readonly instance: string;
  readonly isGlobal: boolean;
}

const infoOf = (module: NestModule): ModuleInfo | undefined =>
  module.providers.get(MODULE_INFO)?.instance as ModuleInfo | undefined;

/** Names of all instances of an application. */
export function instancesIn(modules: ModulesContainer): string[] {
  const infos = [...modules.values()].map(infoOf).filter((info) => info !== undefined);
  return [...new Set(infos.map((info) => info.instance))];
}

/** The module that registered this info. */
export const moduleOf = (modules: ModulesContainer, info: ModuleInfo): NestModule =>
  [...modules.values()].find((module) => infoOf(module) === info)!;

/** @throws ConfigError if another global module creates the same instance: a class might get either of them */
export function assertOneGlobal(modules: ModulesContainer, info: ModuleInfo): void {
  const same = (other: ModuleInfo | undefined) => other?.isGlobal && other.instance === info.instance;
  if (info.isGlobal && [...modules.values()].filter((module) => same(infoOf(module))).length > 1) {
    throw new ConfigError(MESSAGES.twoGlobals(info.instance));
  }
}
