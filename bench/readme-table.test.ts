import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { measuredTable, RESULT_FILE, readResult, withTable } from './readme-table.ts';
import { reportPage } from './report.ts';

const root = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '..' : '../..', import.meta.url));

test('the README shows the committed result, and a report can be made of it', (t) => {
  if (!existsSync(`${root}/${RESULT_FILE}`)) {
    t.skip('no result is committed');
    return;
  }
  const readme = readFileSync(`${root}/README.md`, 'utf8');
  const result = readResult(root);
  assert.equal(readme, withTable(readme, measuredTable(result)), 'npm run bench:table writes it anew');
  assert.equal(result.recount?.missing, 0);
  assert.match(reportPage(result), /Stampede, measured/);
});

test('the table is made of a result, and stands between the markers of the README', () => {
  const table = measuredTable({
    form: 1,
    startedAt: '2026-01-02T03:04:05.678Z',
    seconds: 1,
    command: 'npm run bench',
    machine: '2 cores',
    versions: {},
    settings: { server_version: '18.4' },
    calibrationNs: [],
    rows: [],
    ratios: [{ name: 'a ÷ b', value: 2, low: 1.5, high: 2.5, insideNoise: false, wanted: { atLeast: 3 } }],
    sweeps: [],
    commits: null,
    orders: null,
    openLoop: [],
    crowds: [],
    feed: [],
    cold: null,
    failover: null,
    recount: { acknowledged: 12_345, missing: 0, restartMs: 900 },
    stages: null,
    growth: [],
    micro: [],
    pricing: [],
    leftOut: [],
  });
  assert.match(table, /\| a ÷ b \| 2\.00 \(1\.50–2\.50\) \| ≥ 3 \|/);
  assert.match(table, /\| 0 of 12,345 missing \|/);
  const readme = withTable(readFileSync(`${root}/README.md`, 'utf8'), table);
  assert.equal(withTable(readme, table), readme);
  assert.ok(readme.includes(table));
});

test('a README without the markers is refused', () => {
  assert.throws(() => withTable('# Something', 'x'), /<!-- measured -->/);
});
