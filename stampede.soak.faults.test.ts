/** The short form of `npm run soak`: a minute of it, with every kind of fault. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testRow } from './bench/fault-test.ts';
import { redisMissing } from './bench/redis-process.ts';
import { keep, soak } from './bench/soak.ts';

testRow('soak', { skip: redisMissing() ?? false }, async (minutes, t) => {
  const directory = mkdtempSync(join(tmpdir(), 'stampede-soak-'));
  try {
    const server = process.env.TEST_DATABASE_URL;
    const soaked = await soak({ minutes, server, tell: (line) => t.diagnostic(line) });
    keep(soaked, join(directory, 'soak'));
    return soaked.figures;
  } finally {
    rmSync(directory, { recursive: true });
  }
});
