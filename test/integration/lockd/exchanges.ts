/**
 * What was observed on lockd 0.1.0, byte for byte: who says what, and what is answered. `{A}` is the address of A.
 * A step without an answer is answered by silence. `-` ends a connection.
 */
export type Step = readonly [who: string, says: string, answer: string];

export interface Exchange {
  readonly title: string;
  readonly dump?: false;
  readonly registry?: false;
  readonly steps: readonly Step[];
}

const ZEROS = [
  'command_d', 'command_dump', 'command_g', 'command_i', 'command_q', 'command_r', 'command_sd', 'command_sg',
  'command_si', 'command_sr',
] as const; // prettier-ignore

const ALL = [
  ...ZEROS, 'command_iam', 'command_me', 'command_who', 'connections', 'invalid_commands', 'locks', 'orphans',
  'shared_locks', 'shared_orphans',
]; // prettier-ignore

/** The reply to `q` with these numbers; all others are 0, and the optional ones are left out. */
const q = (given: Record<string, number>): string =>
  ALL.sort()
    .filter((key) => key in given || !/_(iam|me|who)$/.test(key))
    .map((key) => `${key}: ${given[key] ?? 0}\n`)
    .join('');

const lock = (name: string): Step[] => [
  ['A', `g ${name}\n`, `1 Lock Get Success: ${name}\n`],
  ['A', `g ${name}\n`, `1 Lock Get Success: ${name}\n`],
  ['B', `g ${name}\n`, `0 Lock Get Failure: ${name}\n`],
  ['A', `i ${name}\n`, `1 Lock Is Locked: ${name}\n`],
  ['B', `i ${name}\n`, `1 Lock Is Locked: ${name}\n`],
  ['B', `r ${name}\n`, `0 Lock Release Failure: ${name}\n`],
  ['A', `r ${name}\n`, `1 Lock Release Success: ${name}\n`],
  ['A', `r ${name}\n`, `0 Lock Release Failure: ${name}\n`],
  ['A', `i ${name}\n`, `0 Lock Not Locked: ${name}\n`],
];

const shared = (name: string): Step[] => [
  ['A', `si ${name}\n`, `0 Shared Lock Not Locked: ${name}\n`],
  ['A', `sr ${name}\n`, `0 Shared Lock Release Failure: ${name}\n`],
  ['A', `sg ${name}\n`, `1 Shared Lock Get Success: ${name}\n`],
  ['A', `sg ${name}\n`, `1 Shared Lock Get Success: ${name}\n`],
  ['B', `sg ${name}\n`, `2 Shared Lock Get Success: ${name}\n`],
  ['A', `sg ${name}\n`, `2 Shared Lock Get Success: ${name}\n`],
  ['A', `si ${name}\n`, `2 Shared Lock Is Locked: ${name}\n`],
  ['C', `si ${name}\n`, `2 Shared Lock Is Locked: ${name}\n`],
  ['A', `sr ${name}\n`, `1 Shared Lock Release Success: ${name}\n`],
  ['A', `sr ${name}\n`, `0 Shared Lock Release Failure: ${name}\n`],
  ['B', `si ${name}\n`, `1 Shared Lock Is Locked: ${name}\n`],
  ['B', `sr ${name}\n`, `1 Shared Lock Release Success: ${name}\n`],
  ['A', `si ${name}\n`, `0 Shared Lock Not Locked: ${name}\n`],
];

/** Names that are like any other here, and were not in the original. */
const NAMES = [
  'foo', '', ' foo', 'foo ', 'a  b', 'a\tb', 'constructor', '__proto__', 'toString', 'hasOwnProperty', '9', '01', 'a: b',
  'null', '\0\x01', 'a\rb', 'x'.repeat(5000), `${'y'.repeat(255)} z`,
]; // prettier-ignore

export const EXCHANGES: readonly Exchange[] = [
  ...NAMES.map((name) => ({ title: `an exclusive lock ${JSON.stringify(name.slice(0, 20))}`, steps: lock(name) })),
  ...NAMES.map((name) => ({ title: `a shared lock ${JSON.stringify(name.slice(0, 20))}`, steps: shared(name) })),
  {
    title: 'no space, and a space with nothing behind it, are the empty name',
    steps: [
      ['A', 'g\n', '1 Lock Get Success: \n'],
      ['A', 'g \n', '1 Lock Get Success: \n'],
      ['B', 'i\n', '1 Lock Is Locked: \n'],
      ['B', 'g \n', '0 Lock Get Failure: \n'],
      ['A', 'r\n', '1 Lock Release Success: \n'],
      [
        'A',
        'sg\nsg \nsr\n',
        '1 Shared Lock Get Success: \n1 Shared Lock Get Success: \n1 Shared Lock Release Success: \n',
      ],
    ],
  },
  {
    title: 'names are compared verbatim',
    steps: [
      ['A', 'g foo\ng Foo\ng  foo\ng foo \ng a  b\n', '1 Lock Get Success: foo\n1 Lock Get Success: Foo\n1 Lock Get Success:  foo\n1 Lock Get Success: foo \n1 Lock Get Success: a  b\n'], // prettier-ignore
      ['B', 'i foo\ni FOO\ni  foo\ni a b\n', '1 Lock Is Locked: foo\n0 Lock Not Locked: FOO\n1 Lock Is Locked:  foo\n0 Lock Not Locked: a b\n'], // prettier-ignore
    ],
  },
  {
    title: 'empty lines are ignored; one CR before LF is dropped, any other is a character',
    steps: [
      ['A', '\n\r\n\n', ''],
      ['A', 'g a\r\n', '1 Lock Get Success: a\n'],
      ['A', 'g b\r\r\n', '1 Lock Get Success: b\r\n'],
      ['A', 'i a\ni b\r\r\ni b\n', '1 Lock Is Locked: a\n1 Lock Is Locked: b\r\n0 Lock Not Locked: b\n'],
    ],
  },
  {
    title: 'unknown commands are met with silence, and counted',
    steps: [
      ['A', 'G foo\n g foo\ng\tfoo\ngfoo\ng\xc2\xa0x\n  \nquit\nhelp\nauth x\nping\n', ''],
      ['A', 'q\n', q({ command_i: 1, connections: 1, invalid_commands: 10 })],
    ],
  },
  {
    title: 'UTF-8 both ways; malformed bytes are U+FFFD, so such names are one',
    steps: [
      ['A', 'g \xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x92\n', '1 Lock Get Success: \xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x92\n'],
      ['A', 'g \xff\n', '1 Lock Get Success: \xef\xbf\xbd\n'],
      ['B', 'g \xfe\n', '0 Lock Get Failure: \xef\xbf\xbd\n'],
      ['B', 'i \xef\xbf\xbd\n', '1 Lock Is Locked: \xef\xbf\xbd\n'],
      ['B', 'g \xe2\x82\n', '0 Lock Get Failure: \xef\xbf\xbd\n'],
    ],
  },
  {
    title: 'exclusive and shared locks do not affect each other, also on one connection',
    steps: [
      ['A', 'g x\nsg x\n', '1 Lock Get Success: x\n1 Shared Lock Get Success: x\n'],
      ['B', 'sg x\ng x\n', '2 Shared Lock Get Success: x\n0 Lock Get Failure: x\n'],
      ['A', 'r x\nsi x\n', '1 Lock Release Success: x\n2 Shared Lock Is Locked: x\n'],
    ],
  },
  {
    title: 'd lists exclusive locks by name or address of their holders',
    steps: [
      ['A', 'd\nd none\n', ''],
      ['A', 'g l1\n', '1 Lock Get Success: l1\n'],
      ['B', 'g l2\n', '1 Lock Get Success: l2\n'],
      ['A', 'g\niam al ice\n', '1 Lock Get Success: \n1 ok\n'],
      ['C', 'd\n', 'l1: al ice\nl2: {B}\n: al ice\n'],
      ['C', 'd \n', 'l1: al ice\nl2: {B}\n: al ice\n'],
      ['C', 'd l2\nd none\nd l1\n', 'l2: {B}\nl1: al ice\n'],
      ['A', 'r l1\ng l1\n', '1 Lock Release Success: l1\n1 Lock Get Success: l1\n'],
      ['C', 'd\n', 'l2: {B}\n: al ice\nl1: al ice\n'],
      ['B', 'g a: b\nd a: b\n', '1 Lock Get Success: a: b\na: b: {B}\n'],
    ],
  },
  {
    title: 'sd lists the holders of shared locks in the order in which they came',
    steps: [
      ['A', 'sd\nsd none\n', ''],
      ['A', 'sg s2\nsg\niam al ice\n', '1 Shared Lock Get Success: s2\n1 Shared Lock Get Success: \n1 ok\n'],
      ['B', 'sg s2\n', '2 Shared Lock Get Success: s2\n'],
      ['C', 'sd s2\n', 's2: al ice\ns2: {B}\n'],
      ['C', 'sd\nsd \n', 's2: al ice\ns2: {B}\n: al ice\ns2: al ice\ns2: {B}\n: al ice\n'],
      ['A', 'sr s2\nsg s2\n', '1 Shared Lock Release Success: s2\n2 Shared Lock Get Success: s2\n'],
      ['C', 'sd s2\n', 's2: {B}\ns2: al ice\n'],
    ],
  },
  {
    title: 'dump is JSON, with addresses',
    steps: [
      ['A', 'dump\ndump shared\n', '{}\n{}\n'],
      ['A', 'iam al\ng foo\nsg foo\n', '1 ok\n1 Lock Get Success: foo\n1 Shared Lock Get Success: foo\n'],
      ['B', 'g bar\nsg foo\nsg q\n', '1 Lock Get Success: bar\n2 Shared Lock Get Success: foo\n1 Shared Lock Get Success: q\n'],
      ['C', 'dump\n', '{"foo":"{A}","bar":"{B}"}\n'],
      ['C', 'dump shared\n', '{"foo":["{A}","{B}"],"q":["{B}"]}\n'],
      ['C', 'dump Shared\n', '{"foo":"{A}","bar":"{B}"}\n'],
      ['C', 'dump  shared\ndump shared \ndump zz\n', '{"foo":"{A}","bar":"{B}"}\n'.repeat(3)],
      ['A', 'r foo\ng q"uo\\te<&\xc3\xa4\xe2\x80\xa8\n', '1 Lock Release Success: foo\n1 Lock Get Success: q"uo\\te<&\xc3\xa4\xe2\x80\xa8\n'],
      ['C', 'dump\n', '{"bar":"{B}","q\\"uo\\\\te<&\xc3\xa4\xe2\x80\xa8":"{A}"}\n'],
    ],
  }, // prettier-ignore
  {
    title: 'the registry',
    steps: [
      ['A', 'me\n', '1 {A} {A}\n'],
      ['A', 'iam al ice\n', '1 ok\n'],
      ['A', 'me\nme ignored\n', '1 {A} al ice\n1 {A} al ice\n'],
      ['B', 'iam bob\n', '1 ok\n'],
      ['B', 'who\n', '{A}: al ice\n{B}: bob\n'],
      ['B', 'who al ice\nwho al\nwho BOB\n', '{A}: al ice\n'],
      ['D', 'iam bob\nwho bob\n', '1 ok\n{D}: bob\n'],
      ['B', 'iam bob\nwho bob\n', '1 ok\n{D}: bob\n'],
      ['A', 'iam\nme\n', '1 ok\n1 {A} {A}\n'],
      ['A', 'who\n', '{A}: \n{B}: bob\n{D}: bob\n'],
      ['B', '-', ''],
      ['A', 'who\n', '{A}: \n{D}: bob\n'],
      ['A', 'iam  x \nme\nwho  x \n', '1 ok\n1 {A}  x \n{A}:  x \n'],
    ],
  },
  {
    title: 'without dump',
    dump: false,
    steps: [
      ['A', 'g a\n', '1 Lock Get Success: a\n'],
      ['A', 'd\nd a\nsd\nsd x\ndump\ndump shared\nwho\nwho x\n', '0 disabled\n'.repeat(8)],
      ['A', 'iam x\nme\n', '1 ok\n1 {A} x\n'],
      ['A', 'q\n', q({ command_d: 2, command_dump: 2, command_g: 1, command_i: 3, command_iam: 1, command_me: 1, command_sd: 2, command_who: 2, connections: 1, locks: 1 })], // prettier-ignore
    ],
  },
  {
    title: 'without registry',
    registry: false,
    steps: [
      ['A', 'g a\n', '1 Lock Get Success: a\n'],
      ['A', 'iam x\nwho\nwho x\nme\n', '0 disabled\n0 disabled\n0 disabled\n1 {A} {A}\n'],
      ['A', 'd\n', 'a: {A}\n'],
      ['A', 'q\n', q({ command_d: 1, command_g: 1, command_i: 3, command_iam: 1, command_me: 1, command_who: 2, connections: 1, locks: 1 })], // prettier-ignore
    ],
  },
  {
    title: 'without both, me still answers',
    dump: false,
    registry: false,
    steps: [['A', 'me\niam x\nwho\nd\n', '1 {A} {A}\n0 disabled\n0 disabled\n0 disabled\n']],
  },
  {
    title: 'the counters of a fresh server',
    steps: [
      ['A', 'q\n', q({ connections: 1 })],
      ['A', 'q ignored\n', q({ command_i: 1, command_q: 1, connections: 1 })],
    ],
  },
  {
    title: 'the counters after each command',
    steps: [
      ['A', 'g x\ng y\nr y\nr y\ni x\nsg s\nsg t\nsr t\nsi s\nsi t\nd\nsd\ndump\nme\nwho\niam n\n?\n', '1 Lock Get Success: x\n1 Lock Get Success: y\n1 Lock Release Success: y\n0 Lock Release Failure: y\n1 Lock Is Locked: x\n1 Shared Lock Get Success: s\n1 Shared Lock Get Success: t\n1 Shared Lock Release Success: t\n1 Shared Lock Is Locked: s\n0 Shared Lock Not Locked: t\nx: {A}\ns: {A}\n{"x":"{A}"}\n1 {A} {A}\n1 ok\n'], // prettier-ignore
      ['B', 'sg s\nq\n', '2 Shared Lock Get Success: s\n' + q({ command_d: 1, command_dump: 1, command_g: 2, command_i: 2, command_iam: 1, command_me: 1, command_r: 2, command_sd: 1, command_sg: 3, command_si: 2, command_sr: 1, command_who: 1, connections: 2, invalid_commands: 1, locks: 1, shared_locks: 1 })], // prettier-ignore
    ],
  },
  {
    title: 'a disconnect frees everything, and is counted',
    steps: [
      ['A', 'g e1\ng e2\nsg s1\nsg s2\nsg s3\niam al\n', '1 Lock Get Success: e1\n1 Lock Get Success: e2\n1 Shared Lock Get Success: s1\n1 Shared Lock Get Success: s2\n1 Shared Lock Get Success: s3\n1 ok\n'], // prettier-ignore
      ['B', 'sg s1\n', '2 Shared Lock Get Success: s1\n'],
      ['A', '-', ''],
      ['B', 'sd\nwho\ni e1\ng e2\n', 's1: {B}\n0 Lock Not Locked: e1\n1 Lock Get Success: e2\n'],
      ['B', 'q\n', q({ command_g: 3, command_i: 4, command_iam: 1, command_sd: 1, command_sg: 4, command_who: 1, connections: 1, locks: 1, orphans: 2, shared_locks: 1, shared_orphans: 3 })], // prettier-ignore
    ],
  },
];
