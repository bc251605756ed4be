import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkPurity, impurities } from './purity.mjs';

const PATH = 'runtime/a.ts';

/** Each with what is said of it. */
const IMPURE = {
  'the time': ['export const a = Date.now();', 'Date'],
  'a date of now': ['export const a = (at?: number): unknown => new Date();', 'Date'],
  'the monotonic time': ['export const a = performance.now();', 'performance'],
  'the monotonic time, imported': [
    "import { performance } from 'node:perf_hooks';\nexport const a = performance;",
    'node:perf_hooks',
  ],
  chance: ['export const a = (): number => Math.random();', 'Math.random'],
  'chance by another way': [
    "export const a = (Math as never)['random'];\nexport const b = Math['random'];",
    'Math.random',
  ],
  'chance taken out': ['const { random } = Math;\nexport { random };', 'Math.random'],
  'chance of the platform': ['export const a = crypto.randomUUID();', 'crypto'],
  'chance of the platform, imported': [
    "import { randomBytes } from 'node:crypto';\nexport { randomBytes };",
    'node:crypto',
  ],
  'an import without its prefix': ["import * as fs from 'fs';\nexport { fs };", 'fs'],
  'an export of what is not ours': ["export * from 'node:fs';", 'node:fs'],
  'an import at run time': ["export const a = import('node:fs');", 'import()'],
  'a require': ["export const a = require('node:fs');", 'require'],
  'a timer': ['export const a = setTimeout(() => {}, 1);', 'setTimeout'],
  'a timer by the global object': ['export const a = globalThis.setTimeout;', 'globalThis'],
  'a turn of the event loop': ['export const a = setImmediate(() => {});', 'setImmediate'],
  'the environment': ['export const a = process.env.PATH;', 'process'],
  'the network': ["export const a = fetch('http://localhost');", 'fetch'],
  'the terminal': ["console.log('a');", 'console'],
  'when the collector runs': ['export const a = new WeakRef({});', 'WeakRef'],
  'what is not known': ["export const a = eval('Date.now()');", 'eval'],
  'in an enum': ['export enum A { b = Date.now() }', 'Date'],
  'behind a cast': ['export const a = (Date as unknown as { now(): number }).now();', 'Date'],
  'by an adapter': [
    "import { SystemClock } from './system-clock.ts';\nexport { SystemClock };",
    'imports runtime/system-clock.ts',
  ],
  'by a fixture': ["import { turns } from './fixture.ts';\nexport { turns };", 'imports runtime/fixture.ts'],
};

for (const [title, [source, said]] of Object.entries(IMPURE)) {
  test(`what a seed does not decide is found: ${title}`, () => {
    assert.ok(impurities(PATH, source).includes(`${PATH}: ${said}`), impurities(PATH, source).join('\n'));
  });
}

test('names of one’s own, names of members, and types are no harm', () => {
  const source = `
    import type { SystemClock } from './system-clock.ts';
    import { Heap } from 'heap-js';
    interface Clock { setTimeout(run: () => void): Date }
    export function at(process: { env: string }, clock: Clock, Date: () => number): string {
      const performance = { now: () => Date() + Math.max(1, 2) };
      clock.setTimeout(() => {});
      return process.env + performance.now() + String(new Heap<number>().length);
    }
    export type Now = typeof Date;
    export const row = { process: 1, Date: 2, crypto: null as SystemClock | null };`;
  assert.deepEqual(impurities(PATH, source), []);
});

test('an adapter may do what is written beside its name, and no more', () => {
  const source = 'export const a = [Date.now(), Math.random()];';
  assert.deepEqual(impurities(PATH, source, ['Date']), [`${PATH}: Math.random`]);
});

test('sources below a root are all looked at, tests are not', () => {
  const root = mkdtempSync(join(tmpdir(), 'purity-'));
  try {
    const files = {
      'runtime/a.ts': 'export const a = 1;',
      'runtime/b/c.ts': 'export const c = Date.now();',
      'runtime/a.test.ts': 'setTimeout(() => {}, 1);',
      'actors/d.ts': 'export const d = Math.random();',
      'schema/e.ts': 'export const e = Date.now();',
    };
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(root, dirname(path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    assert.deepEqual(checkPurity(root), { found: ['actors/d.ts: Math.random', 'runtime/b/c.ts: Date'], files: 3 });
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('the project holds to it', () => {
  const { found, files } = checkPurity(join(dirname(fileURLToPath(import.meta.url)), '..'));
  assert.deepEqual(found, []);
  assert.ok(files > 60, `${files} sources`);
});
