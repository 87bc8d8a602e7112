export declare function firstPort(range?: readonly [lowest: number, highest: number]): number;
export declare function nthPort(pid: number, n: number, first?: number): number;
export declare function freePort(): Promise<number>;
export declare function isFree(port: number): Promise<boolean>;
