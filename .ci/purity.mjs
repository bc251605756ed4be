// Real time, randomness and I/O are unreachable from `runtime/`, `actors/`, the pure tasks of `workers/` and the simulator: what a seed is to
// repeat may read nothing that the seed does not decide. Two rules, over the sources:
// - of the platform's globals only those are used that give the same each time (`PURE_GLOBALS`), and of packages those of `PURE_PACKAGES`;
// - what may do more is named in `ADAPTERS`, with exactly what it may, and is imported by none of the others.
// Types are not looked at: they do nothing. Tests and their fixtures are let be.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSync } from '@swc/core';
import { modules } from './boundaries.mjs';

const PURE_FOLDERS = /^(runtime|actors|sim)\//;
const PURE_TASKS = /^workers\/(pricing|promotion|tax|shipping|money|quote|price-book|coupon-limits|explain)\.ts$/;
const TEST_SUPPORT =
  /(\.test|(^|\/|-)fixture(-[a-z]+)?|-conformance|(^|\/)test-world|(^|\/)manual-clock|(^|\/)process-clock)\.ts$/;

/** What each may do that the others may not. */
const ADAPTERS = {
  // The real clock.
  'runtime/system-clock.ts': ['node:perf_hooks', 'Date', 'setTimeout', 'clearTimeout', 'setImmediate'],
};
/** No history depends on what these do by it: promises end, a run hears of the rejections that nobody handles, the command line shows what came. */
const HARMLESS = {
  'sim/scheduler.ts': ['setImmediate', 'process'],
  'sim/run.ts': ['process'],
  'sim/summary.ts': ['performance'],
  'sim/cli.ts': [
    'process',
    'performance',
    'import.meta',
    'node:url',
    'node:util',
    'node:fs',
    'node:os',
    'node:worker_threads',
  ],
  'sim/mutants-table.ts': ['process', 'performance', 'import.meta', 'node:url', 'node:util', 'node:fs'],
};

const PURE_GLOBALS = new Set(
  `undefined NaN Infinity Object Array Map Set WeakMap WeakSet Number String Boolean BigInt Symbol Promise Math JSON RegExp Proxy
  Error TypeError RangeError SyntaxError AggregateError Buffer ArrayBuffer SharedArrayBuffer DataView Uint8Array Int8Array Uint16Array
  Int16Array Uint32Array Int32Array Float64Array BigInt64Array BigUint64Array TextEncoder TextDecoder structuredClone isNaN isFinite
  parseInt parseFloat queueMicrotask encodeURIComponent decodeURIComponent`.split(/\s+/),
);
/** uuidv7 draws from a source that is handed in; lru-cache reads the clock only for entries that expire, of which there are none. */
const PURE_PACKAGES = new Set(['heap-js', 'lru-cache', 'msgpackr', 'uuidv7', 'dinero.js']);

/** Nodes of types, as against those that have a value inside. */
const hasValue = new Set([
  'TsAsExpression',
  'TsNonNullExpression',
  'TsSatisfiesExpression',
  'TsTypeAssertion',
  'TsConstAssertion',
  'TsInstantiation',
  'TsParameterProperty',
  'TsEnumDeclaration',
  'TsEnumMember',
]);
/** Of identifiers that name nothing in the module: swc's mark. */
const GLOBAL = 1;

/** What a source does that it should not, as lines; `may`: what it may do beside what all may. */
export function impurities(path, source, may = []) {
  const tree = parseSync(source, { syntax: 'typescript', target: 'es2022' });
  const found = new Set();
  const say = (what) => {
    if (!may.includes(what)) found.add(`${path}: ${what}`);
  };
  const imported = (name) => {
    if (name.startsWith('.')) {
      const target = join(dirname(path), name);
      if (target in ADAPTERS) say(`imports ${target}`);
      else if (TEST_SUPPORT.test(target)) say(`imports ${target}`);
    } else if (!PURE_PACKAGES.has(name)) say(name);
  };
  const visit = (node) => {
    if (Array.isArray(node)) {
      for (const item of node) visit(item);
      return;
    }
    if (typeof node !== 'object' || node === null) return;
    const { type } = node;
    if (typeof type === 'string' && type.startsWith('Ts') && !hasValue.has(type)) return;
    switch (type) {
      case 'ImportDeclaration': {
        const onlyTypes = node.specifiers.length > 0 && node.specifiers.every((one) => one.isTypeOnly);
        if (!node.typeOnly && !onlyTypes) imported(node.source.value);
        return;
      }
      case 'ExportNamedDeclaration':
      case 'ExportAllDeclaration':
        if (node.source && !node.typeOnly) imported(node.source.value);
        return;
      case 'Import':
        say('import()');
        return;
      case 'MetaProperty':
        if (node.kind === 'import.meta') say('import.meta');
        return;
      case 'MemberExpression':
        if (node.object.type === 'Identifier' && node.object.ctxt === GLOBAL && node.object.value === 'Math') {
          if (node.property.type !== 'Identifier' || node.property.value === 'random') say('Math.random');
          return;
        }
        break;
      case 'VariableDeclarator':
        // `const { random } = Math` and the like.
        if (node.init?.type === 'Identifier' && node.init.ctxt === GLOBAL && node.init.value === 'Math')
          say('Math.random');
        break;
      case 'Identifier':
        if (node.ctxt === GLOBAL && !PURE_GLOBALS.has(node.value)) say(node.value);
        return;
    }
    for (const value of Object.values(node)) visit(value);
  };
  visit(tree.body);
  return [...found];
}

/** Of all the sources below `root`: what they do that they should not, and how many were looked at. */
export function checkPurity(root) {
  const files = modules(root, '.ts').filter(
    (file) => (PURE_FOLDERS.test(file) || PURE_TASKS.test(file)) && !TEST_SUPPORT.test(file),
  );
  const found = files.flatMap((file) =>
    impurities(file, readFileSync(join(root, file), 'utf8'), ADAPTERS[file] ?? HARMLESS[file]),
  );
  return { found, files: files.length };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { found, files } = checkPurity(join(dirname(fileURLToPath(import.meta.url)), '..'));
  if (files === 0) found.push('no source was looked at');
  for (const line of found) process.stderr.write(`impure: ${line}\n`);
  if (found.length > 0) process.exit(1);
  process.stdout.write(`time, chance and I/O are handed in: ${files} modules\n`);
}
