/** The matrix, the tests that run it, its figures and the page belong together. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PROJECT } from './fault-figures.ts';
import { FAULT_MATRIX } from './fault-matrix.ts';
import { FIGURES_FILE, PAGE_FILE, pageOf, readFigures } from './reliability.ts';

test('each row is run by the file that it names, and each fault test is a row', () => {
  const run = new Map<string, string[]>();
  for (const file of readdirSync(PROJECT).filter((name) => name.endsWith('.faults.test.ts'))) {
    const ids = [...readFileSync(join(PROJECT, file), 'utf8').matchAll(/testRow\(\s*'([\w-]+)'/g)].map(
      ([, id]) => id ?? '',
    );
    run.set(file.replace('.faults.test.ts', ''), ids);
  }
  for (const { id, file } of FAULT_MATRIX) {
    assert.ok(run.get(file)?.includes(id), `${id} is not in ${file}.faults.test.ts`);
  }
  const known: readonly string[] = FAULT_MATRIX.map(({ id }) => id);
  assert.deepEqual(
    [...run.values()].flat().filter((id) => !known.includes(id)),
    [],
  );
  assert.equal(new Set(known).size, known.length, 'ids are unique');
});

test('the page of reliability shows the committed figures: npm run faults:page writes it', () => {
  assert.ok(existsSync(FIGURES_FILE));
  const page = readFileSync(PAGE_FILE, 'utf8');
  assert.equal(page, pageOf(page, readFigures()));
});

test('every figure is of a row of the matrix', () => {
  const known: readonly string[] = FAULT_MATRIX.map(({ id }) => id);
  assert.deepEqual(
    Object.keys(readFigures()).filter((id) => !known.includes(id)),
    [],
  );
});
