import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkBoundaries, modules } from './boundaries.mjs';

async function inFixture(files, body) {
  const root = mkdtempSync(join(tmpdir(), 'boundaries-'));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(root, path, '..'), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    await body(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

test('an import that points up is reported, also where only a type is imported', () =>
  inFixture(
    {
      'runtime/a.ts': "import type { B } from '../schema/b.ts';\nexport const a: B = 1;\n",
      'schema/b.ts': 'export type B = number;\n',
    },
    async (root) => {
      const { violations, missed } = await checkBoundaries(root, 'anyImport', modules(root, '.ts'));
      assert.deepEqual(missed, []);
      assert.deepEqual(violations, ['runtime-imports-nothing-of-ours: runtime/a.ts → schema/b.ts']);
    },
  ));

test('a value from workers in actors and a cycle are reported in the compiled modules', () =>
  inFixture(
    {
      'actors/c.js': "import { d } from '../workers/d.js';\nexport const c = d;\n",
      'workers/d.js': 'export const d = 1;\n',
      'http/e.js': "import { f } from './f.js';\nexport const e = () => f;\n",
      'http/f.js': "import { e } from './e.js';\nexport const f = () => e;\n",
    },
    async (root) => {
      const { violations } = await checkBoundaries(root, 'valueImport', modules(root, '.js'));
      assert.ok(
        violations.some((line) => line.startsWith('actors-take-only-types-from-workers')),
        violations.join('\n'),
      );
      assert.ok(
        violations.some((line) => line.startsWith('no-circular')),
        violations.join('\n'),
      );
    },
  ));

test('every module of this project is seen by the tool', async () => {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const files = modules(root, '.ts');
  assert.ok(files.length > 10);
  const { missed, dependencies } = await checkBoundaries(root, 'anyImport', files);
  assert.deepEqual(missed, []);
  assert.ok(dependencies > files.length / 2);
});
