/** A row of the fault matrix as a test: named after what it checks, run, and its figures kept. */
import { type TestContext, test } from 'node:test';
import { type Figures, record } from './fault-figures.ts';
import { type FaultId, faultRow } from './fault-matrix.ts';

/** @param run gets how often the fault is to be injected; throws where something of the row does not hold */
export function testRow(
  id: FaultId,
  options: { readonly skip?: string | boolean },
  run: (times: number, t: TestContext) => Promise<Figures>,
): void {
  const { injected, times, checked } = faultRow(id);
  test(`${id}: ${injected} (${times}): ${checked}`, options, async (t) => {
    const started = performance.now();
    const figures = await run(times, t);
    record(id, figures, (performance.now() - started) / 1000);
    t.diagnostic(JSON.stringify(figures));
  });
}
