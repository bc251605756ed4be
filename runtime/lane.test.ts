import assert from 'node:assert/strict';
import { it } from 'node:test';
import { faultOf, inWorld, settle, until } from './fixture.ts';
import { AppendError } from './journal.ts';
import { ManualClock } from './manual-clock.ts';
import type { Intercept } from './memory.ts';

/** Applies the faults in turn to the appends to come, then lets all pass. */
function faults(...steps: Intercept[]): Intercept {
  return (batch, commit) => (steps.shift() ?? ((_batch, go) => go()))(batch, commit);
}
const lostAfter: Intercept = (_batch, commit) => {
  commit();
  throw new AppendError('unknown', 'the connection was cut after the commit');
};
const away: Intercept = () => {
  throw new AppendError('unavailable', 'the database is starting');
};

it('a command that is alone is written at once, and those that come beside it share a batch', async () => {
  await inWorld({}, async (world) => {
    const ids = Array.from({ length: 20 }, (_, i) => `a${i}`);
    await Promise.all(ids.map((id) => world.ask(id, { kind: 'add', op: '1' }, { fresh: true })));
    assert.equal(world.system.stats.batches, 2);
    assert.equal(world.system.stats.rows, 20);
  });
});

it('a refused change fails alone, and the rest of its batch commits', async () => {
  await inWorld({}, async (world) => {
    const held = world.holdAppends();
    const good = Array.from({ length: 30 }, (_, i) => world.ask(`good${i}`, { kind: 'add', op: '1' }));
    const bad = ['bad1', 'bad2'].map((id) => faultOf(world.ask(id, { kind: 'poison' })));
    await until(() => held.waiting > 0);
    held.release();
    assert.deepEqual(await Promise.all(bad), ['rejected', 'rejected']);
    for (const reply of await Promise.all(good)) assert.equal(reply.count, 1);
    assert.deepEqual(world.stored('bad1').seqs, []);
    assert.equal((await world.ask('bad1', { kind: 'add', op: 'well' })).count, 1);
  });
});

it("one actor's decisions before a refused one commit, those behind it do not, and no sequence is left out", async () => {
  await inWorld({}, async (world) => {
    await world.ask('a', { kind: 'get' });
    const held = world.holdAppends();
    const before = world.ask('a', { kind: 'add', op: 'before' });
    const bad = faultOf(world.ask('a', { kind: 'poison' }));
    const readBehind = faultOf(world.ask('a', { kind: 'get' }));
    const behind = faultOf(world.ask('a', { kind: 'add', op: 'behind' }));
    await until(() => held.waiting > 0);
    const later = faultOf(world.ask('a', { kind: 'add', op: 'later' }));
    held.release();
    assert.equal((await before).count, 1);
    assert.deepEqual(await Promise.all([bad, readBehind, behind, later]), [
      'rejected',
      'database_unavailable',
      'database_unavailable',
      'database_unavailable',
    ]);
    assert.deepEqual((await world.ask('a', { kind: 'add', op: 'again' })).ops, ['before', 'again']);
    assert.deepEqual(world.stored('a').seqs, [1, 2]);
  });
});

it('an append whose answer was lost after the commit is answered as a success', async () => {
  await inWorld({}, async (world) => {
    world.intercept(faults(lostAfter));
    const write = world.ask('a', { kind: 'add', op: '1' });
    assert.equal((await write).count, 1);
    assert.deepEqual((await world.ask('a', { kind: 'add', op: '2' })).ops, ['1', '2']);
    assert.deepEqual(world.stored('a').seqs, [1, 2]);
  });
});

it('an append that was lost before the commit fails with all that was queued and gated behind it', async () => {
  await inWorld({}, async (world) => {
    await world.ask('a', { kind: 'add', op: '0' });
    let cut: () => void = () => {};
    world.intercept(
      faults(
        (_batch, _commit) =>
          new Promise((_resolve, reject) => {
            cut = () => reject(new AppendError('unknown', 'the connection was cut before the commit'));
          }),
      ),
    );
    const write = faultOf(world.ask('a', { kind: 'add', op: 'lost' }));
    const read = faultOf(world.ask('a', { kind: 'get' }));
    await settle();
    const queued = faultOf(world.ask('a', { kind: 'add', op: 'queued behind it' }));
    cut();
    assert.deepEqual(await Promise.all([write, read, queued]), [
      'database_unavailable',
      'database_unavailable',
      'database_unavailable',
    ]);
    assert.deepEqual((await world.ask('a', { kind: 'add', op: '1' })).ops, ['0', '1']);
    assert.deepEqual(world.stored('a').seqs, [1, 2]);
  });
});

it('while an outcome is unknown nothing is reloaded and nothing said; a late orphan cannot commit after the resolution', async () => {
  await inWorld({ limits: { laneAwayMs: 60_000 } }, async (world) => {
    await world.ask('a', { kind: 'add', op: '0' });
    let orphan: () => void = () => {};
    world.intercept(
      faults((_batch, commit) => {
        orphan = commit;
        throw new AppendError('unknown', 'still at work');
      }),
    );
    const resolve = world.journal.resolve.bind(world.journal);
    let tries = 0;
    let reachable = false;
    world.journal.resolve = async (batch) => {
      tries++;
      if (!reachable) throw new Error('the database is away');
      return resolve(batch);
    };
    let said = '';
    const write = faultOf(world.ask('a', { kind: 'add', op: 'lost' })).then((code) => {
      said = code;
    });
    await until(() => tries > 1);
    assert.equal(said, '');
    reachable = true;
    await write;
    assert.equal(said, 'database_unavailable');
    assert.throws(orphan, AppendError);
    assert.deepEqual((await world.ask('a', { kind: 'add', op: '1' })).ops, ['0', '1']);
  });
});

it('a batch is kept while the database is away and written when it is back', async () => {
  await inWorld({}, async (world) => {
    world.intercept(faults(away, away, away));
    assert.equal((await world.ask('a', { kind: 'add', op: '1' })).count, 1);
    assert.deepEqual(world.stored('a').seqs, [1]);
    assert.equal(world.system.stats.batchesUnavailable, 3);
  });
});

it('a lane that was away too long refuses writes at once, while settled actors are still read', async () => {
  await inWorld({ limits: { laneAwayMs: 20 } }, async (world) => {
    await world.ask('settled', { kind: 'add', op: '1' });
    await world.ask('other', { kind: 'get' });
    world.intercept(away);
    const kept = world.ask('kept', { kind: 'add', op: '1' }, { fresh: true });
    const refused = async (): Promise<boolean> => {
      const code = await Promise.race([faultOf(world.ask('other', { kind: 'add', op: 'x' })), settle(3)]);
      return code === 'database_unavailable';
    };
    while (!(await refused())) await settle();
    assert.equal((await world.ask('settled', { kind: 'get' })).count, 1);
    world.intercept(undefined);
    assert.equal((await kept).count, 1);
    assert.equal((await world.ask('settled', { kind: 'add', op: '2' })).count, 2);
  });
});

it('a fenced system drops what it has and says nothing but shard_unavailable ever after', async () => {
  await inWorld({}, async (world) => {
    await world.ask('a', { kind: 'add', op: '1' });
    world.journal.fence();
    assert.equal(await faultOf(world.ask('a', { kind: 'add', op: '2' })), 'shard_unavailable');
    assert.equal(await faultOf(world.ask('a', { kind: 'get' })), 'shard_unavailable');
    assert.ok(world.reports.some((report) => report.event === 'fenced'));
    assert.equal(world.system.stats.actorsInMemory, 0);
    assert.deepEqual(world.stored('a').seqs, [1]);
  });
});

it('a lane that is behind refuses with overloaded before anything is applied', async () => {
  await inWorld({ limits: { laneLimit: 5 } }, async (world) => {
    await world.ask('a', { kind: 'get' });
    const held = world.holdAppends();
    const first = world.ask('a', { kind: 'add', op: 'first' });
    await until(() => held.waiting > 0);
    const queued = Array.from({ length: 5 }, (_, i) => world.ask('a', { kind: 'add', op: `${i}` }));
    assert.equal(await faultOf(world.ask('a', { kind: 'add', op: 'too many' })), 'overloaded');
    held.release();
    await Promise.all([first, ...queued]);
    assert.deepEqual((await world.ask('a', { kind: 'get' })).ops, ['first', '0', '1', '2', '3', '4']);
  });
});

it('no batch exceeds its bound of rows', async () => {
  await inWorld({ limits: { batchRows: 10 } }, async (world) => {
    let largest = 0;
    world.intercept((batch, commit) => {
      largest = Math.max(largest, batch.events.length);
      commit();
    });
    const ids = Array.from({ length: 40 }, (_, i) => `a${i}`);
    await Promise.all(ids.map((id) => world.ask(id, { kind: 'add', op: '1' }, { fresh: true })));
    assert.ok(largest > 1 && largest <= 10, `${largest} rows`);
  });
});

it('a lane whose append is not answered refuses further writes before they are applied', async () => {
  const clock = new ManualClock();
  await inWorld({ clock, limits: { laneStuckMs: 1000, askTimeoutMs: 60_000 } }, async (world) => {
    await world.ask('a', { kind: 'get' });
    const held = world.holdAppends();
    const first = world.ask('a', { kind: 'add', op: '1' });
    await until(() => held.waiting > 0);
    const second = world.ask('a', { kind: 'add', op: '2' });
    clock.advance(1500);
    assert.equal(await faultOf(world.ask('a', { kind: 'add', op: '3' })), 'database_unavailable');
    held.release();
    await Promise.all([first, second]);
    assert.deepEqual((await world.ask('a', { kind: 'get' })).ops, ['1', '2']);
  });
});

it('where the event loop had to wait for an append the next one is sent before the answers are given, else after them', async () => {
  for (const waited of [true, false]) {
    let idle = 0;
    const clock = Object.assign(new ManualClock(), { idleMs: () => idle });
    await inWorld({ clock }, async (world) => {
      await Promise.all(['a', 'b'].map((id) => world.ask(id, { kind: 'get' })));
      const happened: string[] = [];
      const letGo: (() => void)[] = [];
      world.intercept(async (batch, commit) => {
        happened.push(`${batch.events[0]?.id} sent`);
        await new Promise<void>((resolve) => letGo.push(resolve));
        commit();
      });
      const ask = (id: string) => world.ask(id, { kind: 'add', op: '1' }).then(() => happened.push(`${id} answered`));
      const first = ask('a');
      await until(() => letGo.length === 1);
      const second = ask('b');
      if (waited) idle += 5;
      letGo[0]?.();
      await until(() => letGo.length === 2);
      await first;
      letGo[1]?.();
      await second;
      const middle = ['a answered', 'b sent'];
      assert.deepEqual(happened, ['a sent', ...(waited ? middle.reverse() : middle), 'b answered']);
    });
  }
});

it('an answer that waits for the next append to leave is not kept back where there is none', async () => {
  let idle = 0;
  const clock = Object.assign(new ManualClock(), { idleMs: () => ++idle * 5 });
  await inWorld({ clock }, async (world) => {
    for (let i = 1; i <= 3; i++) assert.equal((await world.ask('a', { kind: 'add', op: String(i) })).count, i);
    assert.equal(world.system.stats.batches, 3);
  });
});
