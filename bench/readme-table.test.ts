import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { measuredTable, readResult, TABLES, withTable, withTables } from './readme-table.ts';
import { reportPage } from './report.ts';

const root = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '..' : '../..', import.meta.url));

test('the README shows the committed results, and a report can be made of each', () => {
  const readme = readFileSync(`${root}/README.md`, 'utf8');
  assert.equal(readme, withTables(readme, root), 'npm run bench:table writes it anew');
  for (const { file } of TABLES) assert.match(reportPage(readResult(root, file)), /Stampede, measured/);
  assert.equal(readResult(root, TABLES[0].file).recount?.missing, 0);
});

test('whole shops stand beside ours at as many connections, with what their books say', () => {
  const [, { file, make }] = TABLES;
  const table = make(readResult(root, file));
  assert.match(table, /\| Stampede: 500 \| 100 \| 100 \| 100 \| 0 \|/);
  assert.match(table, /\| Vendure [\d.]+: 500 \| 100 \|/);
  assert.match(table, /^\| durable, priced add-to-cart \| 16 \|/m);
  assert.doesNotMatch(table, /echo/);
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
  const readme = withTable(readFileSync(`${root}/README.md`, 'utf8'), 'measured', table);
  assert.equal(withTable(readme, 'measured', table), readme);
  assert.ok(readme.includes(table));
});

test('a README without the markers is refused', () => {
  assert.throws(() => withTable('# Something', 'measured', 'x'), /<!-- measured -->/);
});
