/** The queues, the relay on the real outbox, and what operators see of them, on both backends: PostgreSQL and Redis. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { sql } from 'kysely';
import { Fault } from '../runtime/fault.ts';
import { eventually, migratedTestDatabase, type TestDatabase } from '../schema/test-database.ts';
import { BUNDLE_MAX } from './job-bundle.ts';
import { jobsAdmin } from './jobs-admin.ts';
import { type OutboxSource, outboxOn, relayOnce, startRelay } from './outbox-relay.ts';
import { type JobKind, openQueues, type Queues } from './queues.ts';

const log = { warn: () => undefined };
const redisUrl = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379';
let database: TestDatabase;
let source: OutboxSource;
before(async () => {
  database = await migratedTestDatabase();
  source = outboxOn(database.db);
});
after(() => database.drop());

/** As an append adds it. */
async function addRow(id: string, job: string, doc: object = {}): Promise<void> {
  await sql`INSERT INTO outbox (id, shard, job, doc) VALUES (${id}, 0, ${job}, ${JSON.stringify(doc)}::jsonb)`.execute(
    database.db,
  );
}
/** As the append closes it that records the job's outcome. */
async function closeRow(id: string): Promise<void> {
  await sql`UPDATE outbox SET state = 'closed', changed_at = now() WHERE id = ${id} AND state <> 'closed'`.execute(
    database.db,
  );
}
const rowState = async (id: string) => (await source.get(id))?.state;

for (const backend of ['PostgreSQL', 'Redis']) {
  const skip = backend === 'Redis' && redisUrl === 'none' ? 'there is no Redis' : false;
  describe(`on ${backend}`, { skip }, () => {
    const prefix = `test-${randomBytes(6).toString('hex')}`;
    const runs: string[] = [];
    let broken = true;
    const nothing = () => undefined;
    const atWork = new Set<string>();
    let mostAtWork = 0;
    let letGo = nothing as () => void;
    const gate = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const kind = (run: JobKind['run'], more: Partial<JobKind> = {}): JobKind => ({
      attempts: 3,
      backoffMs: 10,
      ...more,
      run: async (doc, outboxId) => {
        runs.push(outboxId);
        await run(doc, outboxId);
      },
    });
    const kinds = {
      fine: kind((_doc, outboxId) => closeRow(outboxId)),
      forgetful: kind(async () => undefined),
      once: kind(async (_doc, outboxId) => {
        if (runs.filter((run) => run === outboxId).length === 1) throw new Error('not yet');
      }),
      sick: kind(async (_doc, outboxId) => {
        if (broken) throw new Error('the provider is away');
        await closeRow(outboxId);
      }),
      hopeless: kind(async () => {
        throw new Fault('rejected', 'names no order', { retryable: false });
      }),
      patient: kind(
        async () => {
          throw new Error('not for an hour');
        },
        { backoffMs: 3_600_000 },
      ),
      crowded: kind(async (_doc, outboxId) => {
        atWork.add(outboxId);
        mostAtWork = Math.max(mostAtWork, atWork.size);
        await gate;
        await closeRow(outboxId);
        atWork.delete(outboxId);
      }),
      mixed: kind(async (_doc, outboxId) => {
        if (outboxId === 'mixed_never') throw new Fault('rejected', 'names no order', { retryable: false });
        if (outboxId === 'mixed_once' && ran(outboxId) === 1) throw new Error('not yet');
        await closeRow(outboxId);
      }),
      clock: kind(async () => undefined, { everyMs: 1_000 }),
    };
    let queues: Queues;
    const ran = (id: string) => runs.filter((run) => run === id).length;
    const job = (kindName: string, id: string, doc = {}) => ({ id, kind: kindName, data: { outboxId: id, doc } });

    before(async () => {
      queues = await openQueues({
        databaseUrl: database.url,
        redisUrl: backend === 'Redis' ? redisUrl : undefined,
        prefix,
        kinds,
        log,
        failed: (outboxId, error) => source.markFailed(outboxId, error),
        scheduleCheckMs: 200,
      });
      await queues.start();
    });
    after(async () => {
      // Also where a test failed before it did: its jobs would hold up the end for ever.
      letGo();
      await queues.close();
      if (backend !== 'Redis') return;
      const redis = new Redis(redisUrl);
      const keys = await redis.keys(`*${prefix}*`);
      if (keys.length > 0) await redis.del(...keys);
      redis.disconnect();
    });

    beforeEach(async () => {
      await sql`DELETE FROM outbox`.execute(database.db);
    });

    test('a job runs', async () => {
      await queues.add([job('fine', 'fine-1'), job('fine', 'fine-2')]);
      await eventually(async () => (await queues.phase('fine', 'fine-2')) === 'completed');
      assert.equal(ran('fine-1'), 1);
      assert.equal(await queues.phase('fine', 'nobody'), 'absent');
    });

    test('a job whose id is known adds nothing', async () => {
      await queues.add([job('fine', 'again')]);
      await eventually(async () => (await queues.phase('fine', 'again')) === 'completed');
      await queues.add([job('fine', 'again'), job('fine', 'after')]);
      await eventually(async () => (await queues.phase('fine', 'after')) === 'completed');
      assert.equal(ran('again'), 1);
    });

    test('a job that throws runs again', async () => {
      await queues.add([job('once', 'once-1')]);
      await eventually(async () => (await queues.phase('once', 'once-1')) === 'completed');
      assert.equal(ran('once-1'), 2);
    });

    test('the jobs of the clock are made again by a backend that has lost them', async () => {
      const clock = queues.queue('clock');
      assert.ok(clock !== undefined);
      await clock.removeJobScheduler('every-clock');
      const before = ran('');
      await eventually(async () => (await clock.getJobScheduler('every-clock')) !== undefined);
      await eventually(() => ran('') > before);
    });

    test('what no repeat can help fails at once', async () => {
      await queues.add([job('hopeless', 'hopeless-1')]);
      await eventually(async () => (await queues.phase('hopeless', 'hopeless-1')) === 'failed');
      assert.equal(ran('hopeless-1'), 1);
    });

    test('a job that fails for good is seen by operators, page by page, and run again ends done', async () => {
      const admin = jobsAdmin({ queues, outbox: source, nudge: nothing });
      await addRow('ord_1:sick', 'sick', { orderId: 'ord_1' });
      await addRow('ord_2:sick', 'sick', { orderId: 'ord_2' });
      await relayOnce({ source, queues, log });
      for (const id of ['ord_1:sick', 'ord_2:sick']) await eventually(async () => (await rowState(id)) === 'failed');
      assert.equal(ran('ord_1:sick'), 3);

      const first = await admin.list({ state: 'failed', job: 'sick', limit: 1, after: null });
      assert.equal(first.items.length, 1);
      const second = await admin.list({ state: 'failed', job: 'sick', limit: 1, after: first.next });
      assert.equal(second.next, null);
      const seen = [...first.items, ...second.items];
      assert.deepEqual(seen.map((view) => view.id).sort(), ['ord_1:sick', 'ord_2:sick']);
      const view = await admin.get('ord_1:sick');
      assert.deepEqual(
        [view?.job, view?.state, view?.attempts, view?.error, view?.subject],
        ['sick', 'failed', 3, 'the provider is away', 'ord_1'],
      );
      assert.equal((await admin.counts()).sick?.failed, 2);

      broken = false;
      assert.equal(await admin.retry('ord_1:sick'), true);
      await relayOnce({ source, queues, log });
      await eventually(async () => (await rowState('ord_1:sick')) === 'closed');
      await eventually(async () => (await admin.get('ord_1:sick'))?.state === 'done');
      assert.equal(await admin.retry('ord_1:sick'), false);
      assert.equal(await admin.retry('nobody'), false);
      assert.equal(await admin.get('nobody'), null);
      broken = true;
    });

    test('a job that failed and that the queue has lost is still seen and run again', async () => {
      const admin = jobsAdmin({ queues, outbox: source, nudge: nothing });
      await addRow('lost', 'sick', { orderId: 'ord_3' });
      await relayOnce({ source, queues, log });
      await eventually(async () => (await rowState('lost')) === 'failed');
      await (await queues.queue('sick')?.getJob('lost'))?.remove();
      const { items } = await admin.list({ state: 'failed', job: 'sick', limit: 20, after: null });
      assert.deepEqual(
        items.filter((view) => view.id === 'lost').map((view) => view.error),
        ['the provider is away'],
      );
      broken = false;
      assert.equal(await admin.retry('lost'), true);
      await relayOnce({ source, queues, log });
      await eventually(async () => (await rowState('lost')) === 'closed');
      broken = true;
    });

    test('a periodic job is made by the clock', async () => {
      await eventually(() => ran('') > 0);
    });

    test('two relays at once run each row once', async () => {
      for (let i = 0; i < 50; i += 1) await addRow(`ord_${i}:fine`, 'fine', { orderId: `ord_${i}` });
      await Promise.all([relayOnce({ source, queues, log, batchLimit: 30 }), relayOnce({ source, queues, log })]);
      for (let i = 0; i < 50; i += 1) await eventually(async () => (await rowState(`ord_${i}:fine`)) === 'closed');
      for (let i = 0; i < 50; i += 1) assert.equal(ran(`ord_${i}:fine`), 1);
    });

    test('a repeat of a relay that died half-way leaves no row out, and runs the same bundle once', async () => {
      const ids = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `half_${from + i}`);
      const die = { ...source, markRelayed: () => Promise.reject(new Error('killed')), putBack: async () => undefined };
      const reopen = () => sql`UPDATE outbox SET state = 'open' WHERE state = 'taken'`.execute(database.db);
      for (const id of ids(0, 10)) await addRow(id, 'forgetful');
      await assert.rejects(relayOnce({ source: die, queues, log }));
      await reopen();
      await relayOnce({ source, queues, log });
      for (const id of ids(0, 10)) await eventually(() => ran(id) > 0);
      // More have come since, so that the second bundle is another one.
      for (const id of ids(10, 20)) await addRow(id, 'forgetful');
      await assert.rejects(relayOnce({ source: die, queues, log, batchLimit: 7 }));
      await reopen();
      await relayOnce({ source, queues, log });
      for (const id of ids(10, 20)) await eventually(() => ran(id) > 0);
      assert.deepEqual(
        ids(0, 10).map(ran),
        ids(0, 10).map(() => 1),
      );
    });

    test('what comes in a crowd goes through the queue in bundles, and operators see each of them', async () => {
      const admin = jobsAdmin({ queues, outbox: source, nudge: nothing });
      const jobs = async () => (await queues.queue('crowded')?.getJobs([]))?.length ?? 0;
      const ids = Array.from({ length: 2 * BUNDLE_MAX + 10 }, (_, i) => `crowd_${i}`);
      for (const id of ids) await addRow(id, 'crowded', { orderId: `ord_${id}` });
      await relayOnce({ source, queues, log, batchLimit: ids.length });
      await eventually(() => atWork.size === 8);
      await eventually(async () => (await jobs()) === 3);
      const open = await admin.list({ state: 'open', job: 'crowded', limit: ids.length, after: null });
      assert.deepEqual(open.items.map(({ id }) => id).sort(), [...ids].sort());
      assert.ok(open.items.every(({ id, subject }) => subject === `ord_${id}`));
      // However often its row is looked after, one that waits in a bundle is not added again.
      for (let round = 0; round < 3; round++)
        await relayOnce({ source, queues, log, staleMs: 0, batchLimit: ids.length });
      assert.equal(await jobs(), 3);
      letGo();
      for (const id of ids) await eventually(async () => (await rowState(id)) === 'closed');
      assert.ok(ids.every((id) => ran(id) === 1));
      assert.ok(mostAtWork <= 8, `${mostAtWork} at once`);
      await eventually(
        async () => (await admin.list({ state: 'open', job: 'crowded', limit: 100, after: null })).items.length === 0,
      );
      assert.equal((await admin.get('crowd_7'))?.state, 'done');
    });

    test('a row that fails in a bundle goes on by itself, and no other is run again', async () => {
      const admin = jobsAdmin({ queues, outbox: source, nudge: nothing });
      const ids = ['mixed_0', 'mixed_1', 'mixed_once', 'mixed_never', 'mixed_4', 'mixed_5'];
      for (const id of ids) await addRow(id, 'mixed', { orderId: `ord_${id}` });
      await relayOnce({ source, queues, log });
      await eventually(async () => (await rowState('mixed_never')) === 'failed');
      for (const id of ids.filter((one) => one !== 'mixed_never'))
        await eventually(async () => (await rowState(id)) === 'closed');
      assert.deepEqual(ids.map(ran), [1, 1, 2, 2, 1, 1]);
      const failed = await admin.list({ state: 'failed', job: 'mixed', limit: 100, after: null });
      assert.deepEqual(
        failed.items.map(({ id, error, subject }) => [id, error, subject]),
        [['mixed_never', 'names no order', 'ord_mixed_never']],
      );
      const done = await admin.list({ state: 'done', job: 'mixed', limit: 100, after: null });
      assert.deepEqual(done.items.map(({ id }) => id).sort(), ids.filter((id) => id !== 'mixed_never').sort());
      assert.equal((await admin.get('mixed_never'))?.state, 'failed');
    });

    test('a queue that takes nothing leaves the rows open', async () => {
      await addRow('kept', 'fine');
      const away = { ...queues, add: () => Promise.reject(new Error('away')) };
      await assert.rejects(relayOnce({ source, queues: away, log }));
      assert.equal(await rowState('kept'), 'open');
    });

    test('a row open for too long is added again where its job is done or lost', async () => {
      await addRow('done', 'forgetful');
      await relayOnce({ source, queues, log });
      await eventually(async () => (await queues.phase('forgetful', 'done')) === 'completed');
      await relayOnce({ source, queues, log, staleMs: 0 });
      await eventually(async () => (await queues.phase('forgetful', 'done~1')) === 'completed');
      assert.equal(ran('done'), 2);
      for (const id of ['done', 'done~1']) await (await queues.queue('forgetful')?.getJob(id))?.remove();
      await relayOnce({ source, queues, log, staleMs: 0 });
      await eventually(() => ran('done') === 3);
    });

    test('a job that waits for its next run is left alone, however often its row is looked after', async () => {
      await addRow('patient-1', 'patient');
      await relayOnce({ source, queues, log });
      await eventually(() => ran('patient-1') === 1);
      for (let round = 0; round < 40; round += 1) await relayOnce({ source, queues, log, staleMs: 0 });
      assert.equal(await rowState('patient-1'), 'relayed');
      assert.equal((await queues.queue('patient')?.getJobs([]))?.length, 1);
    });

    test('a row open for too long is not added again where its job has failed: it is marked so', async () => {
      await addRow('gave-up', 'hopeless');
      await relayOnce({ source, queues, log });
      await eventually(async () => (await rowState('gave-up')) === 'failed');
      // As if the node had died between the job's end and the mark.
      await sql`UPDATE outbox SET state = 'relayed' WHERE id = 'gave-up'`.execute(database.db);
      await relayOnce({ source, queues, log, staleMs: 0 });
      assert.equal(await rowState('gave-up'), 'failed');
      assert.equal(ran('gave-up'), 1);
    });

    test('a nudge relays at once, and a row of an unknown job holds up no other', async () => {
      const relay = startRelay({ source, queues, log, pollMs: 3_600_000, batchLimit: 1 });
      await addRow('strange', 'unheard_of');
      await addRow('nudged-1', 'fine');
      await addRow('nudged-2', 'fine');
      relay.nudge();
      await eventually(async () => (await rowState('nudged-2')) === 'closed');
      await relay.close();
      assert.equal(ran('nudged-1'), 1);
      assert.equal(await rowState('strange'), 'failed');
    });

    test('a job whose process is killed runs again elsewhere, and so does a bundle', async () => {
      const shared = { databaseUrl: database.url, redisUrl: backend === 'Redis' ? redisUrl : undefined, lockMs: 1_000 };
      const orphans = `${prefix}-orphans`;
      const code = `const { openQueues } = await import(${JSON.stringify(new URL('./queues.js', import.meta.url).href)});
        const hang = { run: () => { console.log('at work'); return new Promise(() => {}); } };
        const log = { warn() {} };
        const queues = await openQueues({ ...${JSON.stringify(shared)}, prefix: '${orphans}', kinds: { hang }, log });
        const job = (id) => ({ id, kind: 'hang', bundles: true, data: { outboxId: id, doc: {} } });
        await queues.add(['a', 'b', 'c', 'd', 'e'].map(job));
        await queues.add([job('orphan')]);
        await queues.start();`;
      const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      const dead = once(child, 'exit');
      child.kill('SIGKILL');
      await dead;
      const runsHere: string[] = [];
      const hang: JobKind = {
        run: async (_doc, outboxId) => {
          runsHere.push(outboxId);
        },
      };
      const heir = await openQueues({ ...shared, prefix: orphans, kinds: { hang }, log });
      await heir.start();
      await eventually(async () => (await heir.phase('hang', 'orphan')) === 'completed');
      await eventually(() => runsHere.length >= 6);
      assert.deepEqual(runsHere.sort(), ['a', 'b', 'c', 'd', 'e', 'orphan']);
      await heir.close();
    });

    if (backend === 'PostgreSQL') {
      test('jobs go on after the loss of every connection', async () => {
        await sql`
          SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid()`.execute(database.db);
        await eventually(async () => {
          try {
            await queues.add([job('fine', 'after-loss')]);
            return true;
          } catch {
            return false;
          }
        });
        await eventually(async () => (await queues.phase('fine', 'after-loss')) === 'completed', 15_000);
      });
    }
  });
}
