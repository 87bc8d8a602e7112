import tseslint from 'typescript-eslint';

// Rooms of lib, in the one order in which data flows (see docs in README, "Layout"):
// a room imports only from rooms before it; client and daemon never import each other.
const rooms = [
  'common',
  'protocol',
  'core',
  'client',
  'daemon',
  'backends',
  'locks',
  'dropin',
  'nest',
  'testing',
  'cli',
  'entries',
];
// nest knows nothing of the drop-in, which knows nothing of engine and daemon.
const strangers = {
  daemon: ['client'],
  dropin: ['core', 'daemon'],
  nest: ['dropin'],
  testing: ['dropin'],
  cli: ['dropin'],
};

const forbiddenIn = (room) => [...rooms.slice(rooms.indexOf(room) + 1), ...(strangers[room] ?? [])];

const roomRules = rooms.map((room) => ({
  files: [`lib/${room}/**/*.ts`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          ...(forbiddenIn(room).length
            ? [
                {
                  group: forbiddenIn(room).flatMap((other) => [`../${other}/*`, `../${other}/**`]),
                  message: `lib/${room} may only import from rooms to its left: ${rooms.join(' > ')}`,
                },
              ]
            : []),
          { group: ['../../*'], message: 'rooms are one folder deep' },
          ...(['nest', 'testing', 'entries'].includes(room)
            ? []
            : [{ group: ['@nestjs/*', 'reflect-metadata'], message: 'Nest belongs to lib/nest and lib/testing' }]),
        ],
      },
    ],
  },
}));

const hostFacilities = [
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'clearInterval',
  'clearImmediate',
  'performance',
  'queueMicrotask',
];

export default tseslint.config(
  { ignores: ['.stryker/**', 'dist/**', '**/dist/**', '**/node_modules/**', 'coverage/**'] },
  ...tseslint.configs.recommendedTypeChecked.map((c) => ({ ...c, files: ['**/*.ts'] })),
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/only-throw-error': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      eqeqeq: 'error',
    },
  },
  ...roomRules,
  {
    // Time, timers and randomness enter lib through one file; everything else gets them passed in.
    files: ['lib/**/*.ts'],
    ignores: ['lib/common/system.ts'],
    rules: {
      'no-restricted-globals': ['error', ...hostFacilities],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now' },
        { object: 'Math', property: 'random' },
        { object: 'process', property: 'nextTick' },
      ],
      'no-restricted-syntax': [
        'error',
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'take the time from the Clock' },
      ],
      'no-console': 'error',
    },
  },
  {
    files: ['test/**/*.ts', 'sample/**/*.ts', 'bench/**/*.ts', 'scripts/**/*.ts'],
    rules: { '@typescript-eslint/no-floating-promises': 'off', '@typescript-eslint/unbound-method': 'off' },
  },
);
