import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { complete, missingOptional } from './lockfile.mjs';

const read = (name) => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'));

test('every optional package of every platform has its entry, so that npm ci takes the lockfile anywhere', () => {
  assert.deepEqual(
    missingOptional(read('package-lock.json')).map(({ name, version }) => `${name}@${version}`),
    [],
  );
});

test('the lockfile names no download address, and a hash for all but packages of other platforms', () => {
  const { packages } = read('package-lock.json');
  for (const [place, entry] of Object.entries(packages)) {
    assert.equal(entry.resolved, undefined, place);
    if (place !== '' && entry.integrity === undefined) {
      assert.equal(entry.optional, true, place);
      assert.ok(!(entry.os.includes('linux') && entry.cpu.includes('x64') && entry.libc?.[0] !== 'musl'), place);
    }
  }
});

test('the lockfile says what package.json says', () => {
  const manifest = read('package.json');
  const root = read('package-lock.json').packages[''];
  for (const field of ['name', 'version', 'dependencies', 'devDependencies', 'optionalDependencies', 'engines'])
    assert.deepEqual(root[field], manifest[field], field);
});

test('a missing platform is added beside a version that stands at the top already', () => {
  const lock = {
    packages: {
      '': {},
      'node_modules/a': {
        version: '1.0.0',
        optionalDependencies: { 'b-linux-x64': '1.0.0', 'b-darwin-arm64': '1.0.0' },
      },
      'node_modules/b-darwin-arm64': { version: '2.0.0', optional: true },
      'node_modules/b-linux-x64': {
        version: '1.0.0',
        integrity: 'sha512-x',
        cpu: ['x64'],
        libc: ['glibc'],
        optional: true,
        os: ['linux'],
      },
    },
  };
  assert.deepEqual(complete(lock), ['node_modules/a/node_modules/b-darwin-arm64']);
  assert.deepEqual(lock.packages['node_modules/a/node_modules/b-darwin-arm64'], {
    version: '1.0.0',
    cpu: ['arm64'],
    optional: true,
    os: ['darwin'],
  });
  assert.deepEqual(missingOptional(lock), []);
});

test('no package runs a script of its own at install: each one that has any is denied', () => {
  const { packages } = read('package-lock.json');
  const { allowScripts, scarfSettings } = read('package.json');
  for (const [place, entry] of Object.entries(packages))
    if (entry.hasInstallScript) assert.equal(allowScripts[place.split('node_modules/').at(-1)], false, place);
  // for the npm that does not know `allowScripts` yet
  assert.equal(scarfSettings.enabled, false);
});
