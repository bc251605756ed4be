import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CrowdRow } from './crowd.ts';
import { selling } from './report-parts.ts';
import type { BenchResult } from './result.ts';

test('the table of crowds shows each shop beside ours, and orders that no buyer was told of', () => {
  const row: CrowdRow = {
    who: 'Stampede',
    buyers: 500,
    connections: 500,
    units: 100,
    confirmed: 100,
    oversold: 0,
    refused: 400,
    retries: 0,
    others: {},
    soldOutMs: 900,
    overMs: 1_000,
    p50Us: 1,
    p99Us: 2,
    serverCpuMs: 1,
    generatorCpuMs: 1,
    backlogEndMs: 10,
    allocated: 100,
  };
  const others = { 'complete 409 invalid_state_error': 496 };
  const medusa = { ...row, who: 'Medusa 2.21.2', confirmed: 4, refused: 0, others, allocated: 11 };
  const page = selling({ crowds: [row, medusa], orders: null, rows: [] } as unknown as BenchResult);
  assert.match(page, /<td>Medusa 2\.21\.2<\/td>.*<td>4<\/td><td><span class="bad">11, 7 ghosts<\/span><\/td>/);
  assert.match(page, /496 × complete 409 invalid_state_error/);
  assert.match(page, /Vendure 3\.7\.3, measured earlier elsewhere, not in this run/);
  assert.doesNotMatch(page, /Medusa 2\.21\.2, measured earlier/);
});
