import assert from 'node:assert/strict';
import { test } from 'node:test';
import { benchLoad } from './load.ts';
import { DEFAULT_SERVER } from './scratch-database.ts';

test('the load bench drives every target without a failure, and finds each acknowledged add after kill -9', async () => {
  const report = await benchLoad({
    connections: [2],
    carts: 4,
    secondsEach: 0.1,
    rounds: 1,
    server: process.env.TEST_DATABASE_URL ?? DEFAULT_SERVER,
    tell: () => {},
  });
  for (const name of ['bare', 'durable', 'fastify', 'holds'])
    assert.ok(
      report.rows.some((row) => row.target.includes(name)),
      name,
    );
  for (const row of report.rows) {
    assert.ok(row.perSecond > 0, row.target);
    assert.deepEqual(row.failures, {}, row.target);
  }
  assert.ok(report.acknowledgedAdds > 0);
  assert.equal(report.missingAdds, 0);
});
