import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Responder } from './actor.ts';
import { callEffect, faultOf, keyOf, type ProbeReply, type ProbeState, sendEffect, settle, until } from './fixture.ts';
import { type Cluster, type ClusterNode, idIn, inCluster } from './fixture-cluster.ts';
import { AppendError } from './journal.ts';
import type { InterceptGift } from './memory.ts';

const id = idIn(8);
const pair = ['A', 'B'] as const;

/** Holds appends back until released. */
function hold(node: ClusterNode): { release(): void; readonly waiting: number } {
  const held: (() => void)[] = [];
  node.journal.intercept = async (_batch, commit) => {
    await new Promise<void>((resolve) => held.push(resolve));
    commit();
  };
  return {
    release: () => {
      node.journal.intercept = undefined;
      for (const go of held.splice(0)) go();
    },
    get waiting() {
      return held.length;
    },
  };
}

function holdGift(node: ClusterNode, then: InterceptGift = (_gift, commit) => commit()) {
  let go: () => void = () => assert.fail('no gift has come');
  let come = false;
  node.journal.interceptGift = async (gift, commit) => {
    come = true;
    await new Promise<void>((resolve) => {
      go = resolve;
    });
    return then(gift, commit);
  };
  return {
    release: () => go(),
    get come() {
      return come;
    },
  };
}

const owner = (cluster: Cluster, shard: number) => cluster.store.shards.get(shard);

describe('a give', () => {
  it('moves the shard: its actors are decided by the other from then on, and go on where they were', async () => {
    await inCluster(pair, {}, async (cluster) => {
      await cluster.ask('A', id, { kind: 'add', op: '1' });
      assert.deepEqual(await cluster.give('A', [8], 'B'), [8]);
      assert.deepEqual(owner(cluster, 8), { owner: 'B', epoch: 2 });
      assert.equal(cluster.node('A').system.inspect({ type: 'probe', id }), null);
      assert.deepEqual((await cluster.ask('A', id, { kind: 'add', op: '2' })).ops, ['1', '2']);
      assert.deepEqual((await cluster.ask('B', id, { kind: 'get' })).ops, ['1', '2']);
      assert.equal(cluster.node('B').system.stats.served, 1);
      const epochs = cluster.store.actors.get(`probe\u0000${id}`)?.events.map((row) => row.epoch);
      assert.deepEqual(epochs, [1, 2]);
    });
  });

  it('of several shards goes in one gift for each lane', async () => {
    await inCluster(pair, { lanes: 2 }, async (cluster) => {
      const gifts: number[][] = [];
      cluster.node('A').journal.interceptGift = (gift, commit) => {
        gifts.push(gift.shards.map(({ shard }) => shard));
        commit();
      };
      const given = await cluster.give('A', [1, 2, 3, 4, 2], 'B');
      assert.deepEqual([...given].sort(), [1, 2, 3, 4]);
      assert.deepEqual(gifts.sort(), [
        [1, 3],
        [2, 4],
      ]);
    });
  });

  it("leaves out what is not this member's, or is on its way already", async () => {
    await inCluster(['A', 'B', 'C'], {}, async (cluster) => {
      await cluster.give('A', [8], 'B');
      const [first, second, third] = await Promise.all([
        cluster.give('A', [9], 'B'),
        cluster.give('A', [9], 'C'),
        cluster.give('A', [8], 'C'),
      ]);
      assert.deepEqual([first, second, third], [[9], [], []]);
      assert.equal(owner(cluster, 8)?.owner, 'B');
    });
  });

  it('waits for what is decided, and answers it, before anything is sent', async () => {
    await inCluster(pair, {}, async (cluster) => {
      const a = cluster.node('A');
      await cluster.ask('A', id, { kind: 'get' });
      const held = hold(a);
      const write = cluster.ask('A', id, { kind: 'add', op: '1' });
      const read = cluster.ask('A', id, { kind: 'get' });
      await until(() => held.waiting > 0);
      const give = cluster.give('A', [8], 'B');
      const during = cluster.ask('A', id, { kind: 'add', op: '2' });
      await settle();
      assert.equal(owner(cluster, 8)?.owner, 'A', 'an entry is not settled yet');
      assert.equal(a.system.stats.handoffWaiting, 1);
      held.release();
      assert.deepEqual((await write).ops, ['1']);
      assert.deepEqual((await read).ops, ['1']);
      assert.deepEqual(await give, [8]);
      assert.deepEqual((await during).ops, ['1', '2']);
      assert.equal(cluster.node('B').system.stats.events, 1);
    });
  });

  it('takes commands that wait in mailboxes, deferred ones among them, to the other in their order', async () => {
    await inCluster(pair, {}, async (cluster) => {
      const a = cluster.node('A');
      const deferred = cluster.ask('A', id, { kind: 'when_open', op: 'deferred' });
      await until(() => a.system.stats.deferred === 1);
      const loading = cluster.ask('A', idIn(8, 1), { kind: 'add', op: 'x' });
      assert.deepEqual(await cluster.give('A', [8], 'B'), [8]);
      assert.deepEqual((await loading).ops, ['x']);
      await cluster.ask('B', id, { kind: 'open' });
      assert.deepEqual((await deferred).ops, ['deferred']);
      assert.equal(a.system.stats.events, 0);
    });
  });

  it('answers nothing from the sending of the gift until its outcome is known', async () => {
    await inCluster(pair, {}, async (cluster) => {
      const a = cluster.node('A');
      await cluster.ask('A', id, { kind: 'add', op: '1' });
      const gift = holdGift(a);
      const give = cluster.give('A', [8], 'B');
      await until(() => gift.come);
      let told = false;
      const read = cluster.ask('A', id, { kind: 'get' }).finally(() => {
        told = true;
      });
      const peers = faultOf(
        a.system.serve({
          ref: { type: 'probe', id },
          command: { kind: 'get' },
          render: false,
          deadline: cluster.clock.monotonic() + 5000,
          repeatable: true,
        }),
      );
      await settle(20);
      assert.equal(told, false);
      gift.release();
      assert.deepEqual(await give, [8]);
      assert.deepEqual((await read).ops, ['1']);
      assert.equal(a.sent.length, 1, 'the read was answered by the other');
      assert.equal(await peers, 'moved');
    });
  });

  it('that is refused leaves the shard here, and what waited is decided here', async () => {
    await inCluster(pair, {}, async (cluster) => {
      const a = cluster.node('A');
      await cluster.ask('A', id, { kind: 'add', op: '1' });
      cluster.store.members.delete('B');
      const gift = holdGift(a);
      const give = cluster.give('A', [8, 10], 'B');
      await until(() => gift.come);
      const write = cluster.ask('A', id, { kind: 'add', op: '2' });
      gift.release();
      assert.deepEqual(await give, []);
      assert.deepEqual((await write).ops, ['1', '2']);
      assert.equal(a.sent.length, 0);
      assert.deepEqual(owner(cluster, 8), { owner: 'A', epoch: 1 });
      assert.equal(a.system.stats.shardsKept, 2);
    });
  });

  for (const [committed, title] of [
    [true, 'that committed moves the shard'],
    [false, 'that did not commit leaves it here, and cannot commit any more'],
  ] as const) {
    it(`whose outcome was lost is resolved: one ${title}`, async () => {
      await inCluster(pair, {}, async (cluster) => {
        const a = cluster.node('A');
        await cluster.ask('A', id, { kind: 'add', op: '1' });
        let orphan: () => void = () => {};
        const gift = holdGift(a, (_gift, commit) => {
          if (committed) commit();
          else orphan = commit;
          throw new AppendError('unknown', 'cut');
        });
        const give = cluster.give('A', [8], 'B');
        await until(() => gift.come);
        const write = cluster.ask('A', id, { kind: 'add', op: '2' });
        gift.release();
        assert.deepEqual(await give, committed ? [8] : []);
        assert.deepEqual((await write).ops, ['1', '2']);
        assert.equal(a.sent.length, committed ? 1 : 0);
        if (!committed) assert.throws(orphan, { outcome: 'fenced' });
        assert.equal(owner(cluster, 8)?.owner, committed ? 'B' : 'A');
      });
    });
  }

  it('whose outcome becomes known only after the shard has come back is not taken for a second one', async () => {
    await inCluster(pair, {}, async (cluster) => {
      const { journal, membership, system } = cluster.node('A');
      journal.interceptGift = (_gift, commit) => {
        commit();
        throw new AppendError('unknown', 'cut');
      };
      let resolve: () => void = () => {};
      const resolved = new Promise<void>((done) => {
        resolve = done;
      });
      const real = journal.resolveGift.bind(journal);
      journal.resolveGift = async (gift) => {
        await resolved;
        return real(gift);
      };
      const give = cluster.give('A', [8], 'B');
      await until(() => owner(cluster, 8)?.owner === 'B');
      cluster.look();
      assert.deepEqual(await cluster.give('B', [8], 'A'), [8]);
      const write = cluster.ask('A', id, { kind: 'add', op: '1' });
      resolve();
      assert.deepEqual(await give, [8]);
      assert.ok(membership.owns(8));
      assert.deepEqual((await write).ops, ['1']);
      assert.equal(system.stats.forwarded, 0);
      assert.equal(cluster.store.actors.get(`probe\u0000${id}`)?.events[0]?.epoch, 3);
    });
  });

  it('that finds the journal away is tried again until its time-out, and then the shard stays', async () => {
    await inCluster(pair, { limits: { laneRetryMinMs: 1, laneRetryMaxMs: 5 } }, async (cluster) => {
      const a = cluster.node('A');
      let tries = 0;
      a.journal.interceptGift = (_gift, commit) => {
        if (++tries < 3) throw new AppendError('unavailable', 'starting');
        commit();
      };
      assert.deepEqual(await cluster.give('A', [8], 'B'), [8]);
      assert.equal(tries, 3);
      a.journal.interceptGift = () => {
        throw new AppendError('unavailable', 'starting');
      };
      assert.deepEqual(await cluster.give('A', [9], 'B', 30), []);
      assert.deepEqual((await cluster.ask('A', idIn(9), { kind: 'add', op: '1' })).ops, ['1']);
    });
  });

  it('that does not come to an end of what is decided in time leaves the shard here', async () => {
    await inCluster(pair, {}, async (cluster) => {
      const a = cluster.node('A');
      await cluster.ask('A', id, { kind: 'get' });
      const held = hold(a);
      const write = cluster.ask('A', id, { kind: 'add', op: '1' });
      await until(() => held.waiting > 0);
      const give = cluster.give('A', [8], 'B', 20);
      const kept = cluster.ask('A', id, { kind: 'add', op: '2' });
      assert.deepEqual(await give, []);
      held.release();
      assert.deepEqual((await write).ops, ['1']);
      assert.deepEqual((await kept).ops, ['1', '2']);
      assert.equal(a.sent.length, 0);
    });
  });

  it('by a member that was fenced ends it: everybody who waits hears so', async () => {
    await inCluster(pair, {}, async (cluster) => {
      const a = cluster.node('A');
      const gift = holdGift(a);
      const give = cluster.give('A', [8], 'B');
      await until(() => gift.come);
      const waiting = cluster.ask('A', id, { kind: 'get' });
      a.journal.fence();
      gift.release();
      assert.deepEqual(await give, []);
      assert.equal(await faultOf(waiting), 'shard_unavailable');
      assert.equal(await faultOf(cluster.ask('A', idIn(9), { kind: 'get' })), 'shard_unavailable');
      assert.equal(owner(cluster, 8)?.owner, 'A');
    });
  });

  it('takes its turn behind entries queued before it, and entries behind it wait', async () => {
    await inCluster(pair, { lanes: 1, limits: { batchRows: 2 } }, async (cluster) => {
      const a = cluster.node('A');
      const order: string[] = [];
      a.journal.intercept = async (batch, commit) => {
        await settle(2);
        order.push(...batch.events.map((row) => row.id));
        commit();
      };
      a.journal.interceptGift = (_gift, commit) => {
        order.push('gift');
        commit();
      };
      const others = [9, 10, 11, 12].map((shard) => idIn(shard));
      const before = others.map((other) => cluster.ask('A', other, { kind: 'add', op: '1' }, { fresh: true }));
      const give = cluster.give('A', [8], 'B');
      await settle(1);
      await Promise.all([...before, give]);
      assert.deepEqual(order, [...others, 'gift']);
    });
  });

  it('bounds the commands that wait meanwhile', async () => {
    await inCluster(pair, { limits: { handoffLimit: 3 } }, async (cluster) => {
      const gift = holdGift(cluster.node('A'));
      const give = cluster.give('A', [8], 'B');
      await until(() => gift.come);
      const asked = Array.from({ length: 5 }, (_, n) =>
        cluster.ask('A', id, { kind: 'add', op: String(n) }).then(
          () => 'done',
          (error: { code: string }) => error.code,
        ),
      );
      await settle();
      gift.release();
      await give;
      assert.deepEqual(await Promise.all(asked), ['done', 'done', 'done', 'overloaded', 'overloaded']);
    });
  });

  it('tells those whose deadline passes meanwhile that nothing was decided', async () => {
    await inCluster(pair, { limits: { tickMs: 5 } }, async (cluster) => {
      const gift = holdGift(cluster.node('A'));
      const give = cluster.give('A', [8], 'B');
      await until(() => gift.come);
      assert.equal(
        await faultOf(cluster.ask('A', id, { kind: 'add', op: '1' }, { timeoutMs: 10 })),
        'deadline_exceeded',
      );
      gift.release();
      await give;
      assert.deepEqual((await cluster.ask('B', id, { kind: 'get' })).ops, []);
    });
  });
});

describe('actors in the middle of something', () => {
  it('that send to each other are given all the same, and both sends come to their end at the other member', async () => {
    await inCluster(pair, {}, async (cluster) => {
      const a = cluster.node('A');
      const [one, two] = [idIn(8), idIn(8, 1)];
      await Promise.all([cluster.ask('A', one, { kind: 'get' }), cluster.ask('A', two, { kind: 'get' })]);
      const held = hold(a);
      const begun = [
        cluster.ask('A', one, { kind: 'begin', effect: sendEffect('to-two', two) }),
        cluster.ask('A', two, { kind: 'begin', effect: sendEffect('to-one', one) }),
      ];
      await until(() => held.waiting > 0);
      const give = cluster.give('A', [8], 'B');
      held.release();
      await Promise.all(begun);
      assert.deepEqual(await give, [8]);
      await until(() => {
        const outcomes = [one, two].map((each) => cluster.node('B').system.inspect({ type: 'probe', id: each }));
        return outcomes.every((summary) => summary !== null && summary.seq === 3);
      }, 'both have begun, ended and been added to');
      for (const each of [one, two]) assert.equal((await cluster.ask('B', each, { kind: 'get' })).count, 1);
    });
  });

  it('take parked callers along where these may be decided twice', async () => {
    let go: (value: string) => void = () => {};
    const outcome = new Promise<string>((resolve) => {
      go = resolve;
    });
    await inCluster(pair, { handlers: { work: () => outcome } }, async (cluster) => {
      const a = cluster.node('A');
      const keyed = { kind: 'begin', effect: callEffect('e1'), wait: true } as const;
      const first = cluster.ask('A', id, keyed, { key: keyOf('k') });
      const second = cluster.ask('A', id, keyed, { repeatable: true });
      await until(() => a.system.stats.parked === 2);
      assert.deepEqual(await cluster.give('A', [8], 'B'), [8]);
      await until(() => cluster.node('B').system.stats.parked === 2);
      go('done');
      assert.deepEqual((await first).ops, ['e1']);
      assert.deepEqual((await second).ops, ['e1']);
      assert.equal(a.system.stats.effectsIssued, 1);
      assert.equal(cluster.node('B').system.stats.effectsIssued, 1, 'the effect was issued again by the new owner');
    });
  });

  it('are waited for a while where a parked caller may not be decided twice, and their outcome is still taken here', async () => {
    let go: (value: string) => void = () => {};
    const outcome = new Promise<string>((resolve) => {
      go = resolve;
    });
    await inCluster(pair, { handlers: { work: () => outcome } }, async (cluster) => {
      const a = cluster.node('A');
      const parked = cluster.ask('A', id, { kind: 'begin', effect: callEffect('e1'), wait: true });
      await until(() => a.system.stats.parked === 1);
      const give = cluster.give('A', [8], 'B');
      await settle();
      go('done');
      assert.deepEqual((await parked).ops, ['e1']);
      assert.deepEqual(await give, [8]);
    });
  });

  it('and then hear that the outcome is unknown', async () => {
    const limits = { handoffLingerMs: 20 };
    await inCluster(pair, { limits, handlers: { work: () => new Promise(() => {}) } }, async (cluster) => {
      const a = cluster.node('A');
      const parked = cluster.ask('A', id, { kind: 'begin', effect: callEffect('e1'), wait: true });
      await until(() => a.system.stats.parked === 1);
      const give = cluster.give('A', [8], 'B');
      assert.equal(await faultOf(parked), 'outcome_unknown');
      assert.deepEqual(await give, [8]);
      assert.equal(a.sent.length, 0, 'it was not asked there a second time');
    });
  });

  it('have a late outcome dropped where they were, and asked for again where they are', async () => {
    const results: ((value: string) => void)[] = [];
    const work = (): Promise<string> => new Promise((resolve) => results.push(resolve));
    await inCluster(pair, { handlers: { work } }, async (cluster) => {
      const a = cluster.node('A');
      await cluster.ask('A', id, { kind: 'begin', effect: callEffect('e1') });
      await until(() => results.length === 1);
      assert.deepEqual(await cluster.give('A', [8], 'B'), [8]);
      results[0]?.('late');
      await settle(10);
      assert.equal(a.system.inspect({ type: 'probe', id }), null);
      await until(() => results.length === 2, 'the new owner asks again, without anybody asking the actor');
      results[1]?.('here');
      // In memory it is there before it is committed.
      const stored = () => cluster.store.actors.get(`probe\u0000${id}`)?.events ?? [];
      await until(() => stored().length === 2);
      assert.equal(stored().at(-1)?.epoch, 2);
    });
  });

  it('go on here when the give is refused, without waiting for their stored timer', async () => {
    const results: ((value: string) => void)[] = [];
    const work = (): Promise<string> => new Promise((resolve) => results.push(resolve));
    await inCluster(pair, { handlers: { work } }, async (cluster) => {
      const a = cluster.node('A');
      await cluster.ask('A', id, { kind: 'begin', effect: callEffect('e1') });
      await until(() => results.length === 1);
      cluster.store.members.delete('B');
      assert.deepEqual(await cluster.give('A', [8], 'B'), []);
      await until(() => results.length === 2);
      results[1]?.('here');
      await until(() => a.system.inspect({ type: 'probe', id })?.seq === 2);
    });
  });

  it('whose keyed answer is being rendered finish that turn first; those whose answer is rendered beside leave with it', async () => {
    const rendered: (() => void)[] = [];
    const responder: Responder<ProbeState, ProbeReply> = {
      async render(_ref, state, _reply, { keyed }) {
        const value = { ops: [...state.ops] };
        await new Promise<void>((resolve) => rendered.push(resolve));
        return keyed ? { value, recorded: Buffer.from(JSON.stringify(value)) } : { value };
      },
      replay: (_ref, recorded) => JSON.parse(Buffer.from(recorded).toString()),
    };
    await inCluster(pair, { responder }, async (cluster) => {
      const gift = holdGift(cluster.node('A'));
      const other = idIn(8, 1);
      const keyed = cluster.ask('A', id, { kind: 'add', op: '1' }, { key: keyOf('k'), render: true });
      const beside = cluster.ask('A', other, { kind: 'add', op: '2' }, { render: true });
      await until(() => rendered.length === 2);
      await until(() => cluster.store.actors.has(`probe\u0000${other}`));
      const give = cluster.give('A', [8], 'B');
      await settle(10);
      assert.equal(gift.come, false, 'an entry is still to come');
      rendered[0]?.();
      assert.deepEqual((await keyed).ops, ['1']);
      await settle(10);
      assert.equal(gift.come, false, 'an answer is still to leave');
      rendered[1]?.();
      assert.deepEqual((await beside).ops, ['2']);
      await until(() => gift.come);
      gift.release();
      assert.deepEqual(await give, [8]);
      const again = { key: keyOf('k'), render: true };
      assert.deepEqual(
        (await cluster.ask('A', id, { kind: 'add', op: 'other' }, again)).ops,
        ['1'],
        'the recorded answer',
      );
    });
  });
});

describe('shards that the rows give to another while their actors are here', () => {
  it('lose their actors, whose callers hear that this node may not answer; what was not decided is asked there', async () => {
    await inCluster(pair, {}, async (cluster) => {
      const a = cluster.node('A');
      await cluster.ask('A', id, { kind: 'add', op: '1' });
      const held = hold(a);
      const write = faultOf(cluster.ask('A', id, { kind: 'add', op: 'lost' }));
      await until(() => held.waiting > 0);
      const queued = faultOf(cluster.ask('A', id, { kind: 'add', op: 'queued' }));
      const deferred = cluster.ask('A', id, { kind: 'when_open', op: 'deferred' });
      // Taken over: the fence goes first.
      a.journal.fence();
      cluster.store.shards.set(8, { owner: 'B', epoch: 2 });
      cluster.look();
      await until(() => cluster.node('B').system.stats.deferred === 1);
      await cluster.ask('B', id, { kind: 'open' });
      assert.deepEqual((await deferred).ops, ['1', 'deferred']);
      held.release();
      assert.equal(await write, 'shard_unavailable');
      assert.equal(await queued, 'shard_unavailable');
      assert.equal(cluster.reports.filter(({ event }) => event === 'shards_lost').length, 1);
    });
  });
});

describe('timers', () => {
  it('of an actor that was given ring at the new owner, once', async () => {
    await inCluster(pair, { limits: { timerSweepMs: 5, tickMs: 5 } }, async (cluster) => {
      await cluster.ask('A', id, { kind: 'alarm', at: cluster.clock.now() + 100 });
      assert.deepEqual(await cluster.give('A', [8], 'B'), [8]);
      await until(() => cluster.store.actors.get(`probe\u0000${id}`)?.events.length === 2, 'it has rung');
      await settle(10);
      const events = cluster.store.actors.get(`probe\u0000${id}`)?.events ?? [];
      assert.deepEqual(
        events.map((row) => row.epoch),
        [1, 2],
      );
    });
  });
});

describe('a call for a shard of another member', () => {
  it('is refused where there is no way to the others', async () => {
    await inCluster(pair, { connected: false }, async (cluster) => {
      await cluster.give('A', [8], 'B');
      assert.equal(await faultOf(cluster.ask('A', id, { kind: 'get' })), 'shard_unavailable');
    });
  });

  it('of a peer is told that it has moved, and never handed on', async () => {
    await inCluster(['A', 'B', 'C'], {}, async (cluster) => {
      await cluster.give('A', [8], 'B');
      const served = cluster.node('A').system.serve({
        ref: { type: 'probe', id },
        command: { kind: 'add', op: '1' },
        render: false,
        deadline: cluster.clock.monotonic() + 1000,
        repeatable: false,
      });
      assert.equal(await faultOf(served), 'moved');
      assert.equal(cluster.node('A').sent.length, 0);
    });
  });

  it('of a peer is not answered by a member that may not answer, nor decided past its deadline', async () => {
    await inCluster(pair, {}, async (cluster) => {
      const call = { ref: { type: 'probe', id }, command: { kind: 'get' }, render: false, repeatable: true };
      const a = cluster.node('A');
      assert.equal(
        await faultOf(a.system.serve({ ...call, deadline: cluster.clock.monotonic() })),
        'deadline_exceeded',
      );
      a.membership.answers = false;
      assert.equal(
        await faultOf(a.system.serve({ ...call, deadline: cluster.clock.monotonic() + 1000 })),
        'shard_unavailable',
      );
    });
  });

  it('of a peer that was decided before the lease ended is not answered after it', async () => {
    await inCluster(pair, {}, async (cluster) => {
      const a = cluster.node('A');
      const held = hold(a);
      const served = faultOf(cluster.ask('B', id, { kind: 'add', op: '1' }));
      await until(() => held.waiting > 0);
      a.membership.answers = false;
      held.release();
      assert.equal(await served, 'shard_unavailable');
    });
  });

  it('is served by a member that drains, as long as it has the shard; callers of its own are refused', async () => {
    await inCluster(pair, {}, async (cluster) => {
      const a = cluster.node('A');
      const held = hold(a);
      const open = cluster.ask('A', id, { kind: 'add', op: '1' });
      await until(() => held.waiting > 0);
      const drained = a.system.drain(5000);
      assert.equal(await faultOf(cluster.ask('A', id, { kind: 'get' })), 'draining');
      const served = cluster.ask('B', id, { kind: 'add', op: '2' });
      await settle();
      held.release();
      assert.deepEqual((await open).ops, ['1']);
      assert.deepEqual((await served).ops, ['1', '2']);
      await drained;
    });
  });

  it('ends once, whichever of its ends comes first, and by its deadline where none does', async () => {
    await inCluster(pair, { limits: { tickMs: 5, answerMarginMs: 10 } }, async (cluster) => {
      await cluster.give('A', [8], 'B');
      const a = cluster.node('A');
      const gift = holdGift(cluster.node('B'));
      const back = cluster.give('B', [8], 'A');
      await until(() => gift.come);
      const open = cluster.ask('A', id, { kind: 'add', op: '1' }, { timeoutMs: 20 });
      const code = faultOf(open);
      assert.ok(['deadline_exceeded', 'outcome_unknown', 'shard_unavailable'].includes(await code));
      const [sent] = a.sent;
      sent?.resolve('late');
      sent?.home();
      gift.release();
      await back;
      assert.equal(a.system.stats.commandsOpen, 0);
      assert.deepEqual((await cluster.ask('A', id, { kind: 'get' })).ops, []);
    });
  });

  it('comes home when the shard does', async () => {
    await inCluster(pair, {}, async (cluster) => {
      await cluster.give('A', [8], 'B');
      const gift = holdGift(cluster.node('B'));
      const back = cluster.give('B', [8], 'A');
      await until(() => gift.come);
      const write = cluster.ask('A', id, { kind: 'add', op: '1' });
      await settle();
      gift.release();
      await back;
      assert.deepEqual((await write).ops, ['1']);
      assert.equal(cluster.store.actors.get(`probe\u0000${id}`)?.events[0]?.epoch, 3);
    });
  });
});
