import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { NODE_FLAGS } from './heap.ts';

it('a node is started with the same flags by npm start and by its own command', () => {
  const at = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
  const flags = NODE_FLAGS.join(' ');
  const { scripts } = JSON.parse(at('package.json')) as { scripts: { start: string } };
  assert.ok(scripts.start.includes(`node ${flags} dist/stampede.js`), scripts.start);
  const [shebang] = at('dist/stampede.js').split('\n');
  assert.equal(shebang, `#!/usr/bin/env -S node ${flags}`);
});
