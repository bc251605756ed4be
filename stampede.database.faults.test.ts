/** The database of a cluster: its disk full, its locks taken, its backends stopped, its rows spoilt. */
import assert from 'node:assert/strict';
import { noneHung, underLoad } from './bench/cluster-scene.ts';
import { corruptRows } from './bench/corrupt-rows.ts';
import { fullDiskRounds, lockRounds, pausedBackendRounds } from './bench/database-faults.ts';
import { figuresOf } from './bench/fault-figures.ts';
import { testRow } from './bench/fault-test.ts';
import { SmallDisk, smallDiskMissing } from './bench/full-disk.ts';
import { redisMissing } from './bench/redis-process.ts';

const skip = redisMissing() ?? false;
const server = process.env.TEST_DATABASE_URL;

/** Of a disk that is soon full: little log is kept. */
const SMALL = { max_wal_size: '48MB', min_wal_size: '32MB' };

testRow('disk-full', { skip: skip || (smallDiskMissing() ?? false) }, async (times) => {
  const disk = SmallDisk.mount(192);
  try {
    const ownPostgres = { dataDir: disk.directory, settings: SMALL };
    const result = await underLoad({ server, ownPostgres }, (scene) => fullDiskRounds(scene, disk, times));
    return figuresOf(result);
  } finally {
    disk.close();
  }
});

testRow('lock-held', { skip }, async (times) => {
  return figuresOf(noneHung(await underLoad({ server }, (scene) => lockRounds(scene, times))));
});

testRow('backend-paused', { skip }, async (times) => {
  let paused: ReadonlySet<string> = new Set();
  const result = await underLoad({ server }, async (scene) => {
    paused = await pausedBackendRounds(scene, times);
  });
  assert.ok(paused.has('journal'));
  return figuresOf(noneHung(result));
});

testRow('corrupt-row', { skip }, async (times) => {
  let mended = 0;
  const result = await underLoad({ server }, async (scene) => {
    mended = await corruptRows(scene, times);
  });
  return { 'quarantined, then mended': mended, ...figuresOf(result) };
});
