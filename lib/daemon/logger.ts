export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Where a daemon tells what happens to it; a library says nothing by itself. */
export type DaemonLogger = (level: LogLevel, message: string, attributes?: Readonly<Record<string, unknown>>) => void;

export const silent: DaemonLogger = () => {};
