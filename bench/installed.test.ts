import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { installed } from './installed.ts';

test('what cannot be installed is told in one line with its reason, and no folder is left', async () => {
  const told: string[] = [];
  // Nobody listens there.
  const env = { ...process.env, npm_config_registry: 'http://127.0.0.1:9/', npm_config_fetch_retries: '0' };
  await assert.rejects(
    installed('Some shop', ['@stampede-bench/none@1.0.0'], (line) => told.push(line), env),
    (error: Error) => {
      assert.match(error.message, /^Some shop could not be installed: .*ECONNREFUSED/);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    },
  );
  const folder = /into (\S+)$/.exec(told[0] ?? '')?.[1] ?? '';
  assert.notEqual(folder, '');
  assert.equal(existsSync(folder), false);
});
