import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import type { ActorType, Decision } from './actor.ts';
import { Fault } from './fault.ts';
import { settle } from './fixture.ts';
import { AppendError, type Batch } from './journal.ts';
import { soleMember } from './members.ts';
import { type Intercept, MemoryJournal, MemoryStore } from './memory.ts';
import { type ActorSystem, createActorSystem } from './system.ts';
import { SystemClock } from './system-clock.ts';

const UNITS = 4;

interface Stall {
  taken: string[];
}
type StallCommand = { readonly kind: 'take'; readonly op: string } | { readonly kind: 'look' };

/** Has a few units; a unit taken twice under one name is taken once. */
const stall: ActorType<Stall, StallCommand, string, { ok: boolean; taken: readonly string[] }> = {
  type: 'stall',
  eventVersion: 1,
  carried: true,
  initial: () => ({ taken: [] }),
  decide(state, command) {
    if (command.kind === 'look') return { reply: { ok: true, taken: [...state.taken] } };
    if (command.kind !== 'take') return {};
    if (state.taken.includes(command.op)) return { reply: { ok: true, taken: [] } };
    if (state.taken.length === UNITS) return { reply: { ok: false, taken: [] } };
    return { events: [command.op], reply: { ok: true, taken: [] } };
  },
  apply(state, op) {
    state.taken.push(op);
    return state;
  },
  snapshot: (state) => structuredClone(state),
  restore: (_id, data) => data as Stall,
};

interface Buyer {
  wants: string[];
  got: string[];
  missed: string[];
}
type BuyerCommand =
  | { readonly kind: 'buy'; readonly op: string }
  /** The same, asking within the turn where that can be; by `how` it breaks after it was told. */
  | { readonly kind: 'rush'; readonly op: string; readonly how?: 'broken' }
  /** Had from elsewhere: asks nobody. */
  | { readonly kind: 'note'; readonly op: string }
  | { readonly kind: 'look' };
type BuyerEvent = { readonly kind: 'wants' | 'got' | 'missed' | 'rushed' | 'broken'; readonly op: string };
type BuyerReply = { readonly ok: boolean; readonly got: readonly string[] };

const buyer: ActorType<Buyer, BuyerCommand, BuyerEvent, BuyerReply> = {
  type: 'buyer',
  eventVersion: 1,
  initial: () => ({ wants: [], got: [], missed: [] }),
  decide(state, command) {
    switch (command.kind) {
      case 'buy':
        return { events: [{ kind: 'wants', op: command.op }], park: command.op };
      case 'rush': {
        const { op, how } = command;
        const before = [...state.got];
        const asked: Decision<BuyerEvent, BuyerReply> = { events: [{ kind: 'wants', op }], park: op };
        return {
          ...asked,
          consult: {
            to: { type: 'stall', id: 's' },
            command: { kind: 'take', op } satisfies StallCommand,
            instead(reply) {
              if (!(reply as { ok: boolean }).ok) return { reply: { ok: false, got: before } };
              return { events: [{ kind: how ?? 'rushed', op }], reply: { ok: true, got: [...before, op] } };
            },
          },
        };
      }
      case 'note':
        return { events: [{ kind: 'got', op: command.op }], reply: { ok: true, got: [...state.got, command.op] } };
      case 'look':
        return { reply: { ok: true, got: [...state.got] } };
      case '$outcome': {
        const op = command.effectId;
        if (!state.wants.includes(op)) return {};
        const { ok } = command.outcome as { ok: boolean };
        const reply = { ok, got: ok ? [...state.got, op] : [...state.got] };
        return { events: [{ kind: ok ? 'got' : 'missed', op }], settle: [{ token: op, reply }] };
      }
      case '$wake':
        return {};
    }
  },
  apply(state, { kind, op }) {
    if (kind === 'broken') throw new TypeError('broken');
    if (kind === 'wants') state.wants.push(op);
    else if (kind === 'rushed') state.got.push(op);
    else {
      state.wants = state.wants.filter((other) => other !== op);
      state[kind].push(op);
    }
    return state;
  },
  snapshot: (state) => structuredClone(state),
  restore: (_id, data) => data as Buyer,
  pending: (state) =>
    state.wants.map((op) => ({
      id: op,
      kind: 'send',
      to: { type: 'stall', id: 's' },
      command: { kind: 'take', op } satisfies StallCommand,
    })),
};

class Market {
  readonly store = new MemoryStore();
  readonly batches: Batch[] = [];
  journal: MemoryJournal;
  system: ActorSystem;
  intercept: Intercept = (_batch, commit) => commit();
  readonly #alive = setInterval(() => {}, 1000);

  constructor() {
    [this.journal, this.system] = this.#open();
  }

  buy(who: string, op: string): Promise<BuyerReply> {
    return this.system.ask({ type: 'buyer', id: who }, { kind: 'buy', op }) as Promise<BuyerReply>;
  }

  rush(who: string, op: string, how?: 'broken'): Promise<BuyerReply> {
    const command: BuyerCommand = { kind: 'rush', op, ...(how === undefined ? {} : { how }) };
    return this.system.ask({ type: 'buyer', id: who }, command) as Promise<BuyerReply>;
  }

  async got(who: string): Promise<readonly string[]> {
    return ((await this.system.ask({ type: 'buyer', id: who }, { kind: 'look' })) as BuyerReply).got;
  }

  async taken(): Promise<readonly string[]> {
    return ((await this.system.ask({ type: 'stall', id: 's' }, { kind: 'look' })) as { taken: string[] }).taken;
  }

  async crash(): Promise<void> {
    this.journal.fence();
    this.system.stop();
    [this.journal, this.system] = this.#open();
    await this.system.start();
  }

  end(): void {
    this.system.stop();
    clearInterval(this.#alive);
  }

  #open(): [MemoryJournal, ActorSystem] {
    const journal = new MemoryJournal({ lanes: 1, store: this.store });
    journal.intercept = async (batch, commit) => {
      this.batches.push(batch);
      await this.intercept(batch, commit);
    };
    const limits = { laneRetryMinMs: 1, laneRetryMaxMs: 2, effectRetryMinMs: 1, effectRetryMaxMs: 4, batchRows: 6 };
    const system = createActorSystem({
      types: [stall, buyer],
      journal,
      clock: new SystemClock(),
      membership: soleMember(),
      limits: { ...limits, effectWakeMs: 5, timerSweepMs: 5, timerAgainMs: 5 },
    });
    return [journal, system];
  }
}

async function inMarket(body: (market: Market) => Promise<void>): Promise<void> {
  const market = new Market();
  await market.system.start();
  try {
    await body(market);
  } finally {
    market.end();
  }
}

it('what is asked, taken and known is one batch, and writes no timer for the time in between', async () => {
  await inMarket(async (market) => {
    await market.taken();
    await market.got('b');
    market.batches.length = 0;
    assert.deepEqual(await market.buy('b', 'op'), { ok: true, got: ['op'] });
    const [batch] = market.batches;
    assert.equal(market.batches.length, 1);
    assert.deepEqual(
      batch?.events.map(({ type, seq }) => [type, seq]),
      [
        ['buyer', 1],
        ['stall', 1],
        ['buyer', 2],
      ],
    );
    assert.deepEqual(batch?.timers, []);
    assert.equal(market.system.stats.carried, 1);
  });
});

it('who asks within its turn writes one row, in one batch with what the other has decided', async () => {
  await inMarket(async (market) => {
    await market.taken();
    await market.got('b');
    market.batches.length = 0;
    assert.deepEqual(await market.rush('b', 'op'), { ok: true, got: ['op'] });
    assert.deepEqual(
      market.batches.map(({ events }) => events.map(({ type, seq }) => [type, seq])),
      [
        [
          ['stall', 1],
          ['buyer', 1],
        ],
      ],
    );
    assert.equal(market.system.stats.consulted, 1);
    await market.crash();
    assert.deepEqual([await market.got('b'), await market.taken()], [['op'], ['op']]);
  });
});

it('who is turned away within its turn writes nothing, and hears it once what the other rests on is durable', async () => {
  await inMarket(async (market) => {
    await market.taken();
    for (const who of ['a', 'b']) await market.got(who);
    let commitHeld: () => void = () => {};
    market.intercept = (_batch, commit) => new Promise((resolve) => (commitHeld = () => resolve(commit())));
    const taken = Array.from({ length: UNITS }, (_, i) => market.rush('a', `op${i}`));
    await settle();
    let answered = false;
    const last = market.rush('b', 'last').finally(() => (answered = true));
    await settle();
    assert.equal(answered, false);
    market.intercept = (_batch, commit) => commit();
    commitHeld();
    assert.deepEqual(await last, { ok: false, got: [] });
    await Promise.all(taken);
    market.batches.length = 0;
    assert.equal((await market.rush('b', 'later')).ok, false);
    assert.deepEqual(market.batches, [], 'nobody is behind a commit');
  });
});

it('a turn that breaks after another actor was asked leaves nothing of what that one decided for it', async () => {
  await inMarket(async (market) => {
    await market.taken();
    for (const who of ['a', 'b']) await market.got(who);
    const broken = market.rush('b', 'op', 'broken');
    const beside = market.rush('a', 'other');
    await assert.rejects(broken, (error) => error instanceof Fault && error.code === 'internal');
    // It may rest on the state that broke, and is then told so.
    const other = await beside.then(
      ({ ok }) => ok,
      (error: unknown) => error instanceof Fault && error.retryable,
    );
    assert.equal(other, true);
    await market.crash();
    assert.deepEqual(await market.got('b'), []);
    assert.equal((await market.taken()).includes('op'), false);
    assert.deepEqual(await market.taken(), await market.got('a'));
  });
});

it('a receiver that is not in memory gets the message after the commit', async () => {
  await inMarket(async (market) => {
    assert.deepEqual(await market.buy('b', 'op'), { ok: true, got: ['op'] });
    assert.equal(market.system.stats.carried, 0);
    assert.deepEqual(await market.taken(), ['op']);
  });
});

it('a unit that is refused leaves nothing of any of its actors, and what stands beside it is written', async () => {
  await inMarket(async (market) => {
    await market.taken();
    let refused = 0;
    market.intercept = (batch, commit) => {
      // A database would refuse the receiver's part alone; with it goes what it rests on and what rests on it.
      if (batch.events.some(({ type, payload }) => type === 'stall' && Buffer.from(payload).includes('bad'))) {
        refused++;
        throw new AppendError('refused', 'bad data');
      }
      commit();
    };
    const [good, bad] = await Promise.allSettled([market.buy('good', 'good'), market.buy('evil', 'bad')]);
    assert.equal(good.status, 'fulfilled');
    // Its caller was parked when the end was refused: told as unknown, although here the beginning is not written either.
    assert.ok(bad.status === 'rejected' && bad.reason instanceof Fault && bad.reason.code === 'outcome_unknown');
    assert.ok(refused > 0);
    assert.deepEqual(await market.got('evil'), []);
    assert.deepEqual(await market.taken(), ['good']);
  });
});

it('a refusal that rests on what is not written is not told', async () => {
  await inMarket(async (market) => {
    await market.taken();
    for (const who of ['a', 'b']) await market.got(who);
    let lose: () => void = () => {};
    market.intercept = () =>
      new Promise((_resolve, reject) => {
        lose = () => reject(new AppendError('unknown', 'cut'));
      });
    // All units are taken in a batch that is then lost; the last buyer is turned away by a state that never was.
    const lost = Array.from({ length: UNITS }, (_, i) => market.buy('a', `op${i}`));
    await settle();
    const last = market.buy('b', 'last');
    await settle();
    market.intercept = (_batch, commit) => commit();
    lose();
    const outcomes = await Promise.allSettled([...lost, last]);
    for (const outcome of outcomes) assert.equal(outcome.status, 'rejected');
    assert.deepEqual(await market.taken(), []);
    assert.equal((await market.buy('b', 'again')).ok, true);
  });
});

it('an actor whose unit cannot be written is not loaded before what it had decided earlier is', async () => {
  await inMarket(async (market) => {
    await market.taken();
    await market.got('b');
    const appends: { commit(): void; lose(): void }[] = [];
    market.intercept = (_batch, commit) =>
      new Promise((resolve, reject) => {
        appends.push({
          commit: () => resolve(commit()),
          lose: () => reject(new AppendError('unknown', 'cut')),
        });
      });
    const lost = market.system.ask({ type: 'stall', id: 's' }, { kind: 'take', op: 'lost' });
    await settle();
    const noted = market.system.ask({ type: 'buyer', id: 'b' }, { kind: 'note', op: 'noted' });
    const bought = market.buy('b', 'bought');
    const outcomes = Promise.allSettled([lost, bought, noted]);
    appends[0]?.lose();
    await settle();
    assert.equal(appends.length, 2, 'the note is on its way');
    const seen = Promise.allSettled([market.got('b')]);
    await settle();
    appends[1]?.commit();
    assert.deepEqual(
      (await outcomes).map(({ status }) => status),
      ['rejected', 'rejected', 'fulfilled'],
    );
    market.intercept = (_batch, commit) => commit();
    // It rests on what failed, or shows what did not.
    for (const read of await seen) if (read.status === 'fulfilled') assert.deepEqual(read.value, ['noted']);
    assert.deepEqual(await market.got('b'), ['noted']);
    assert.deepEqual((await market.buy('b', 'again')).got, ['noted', 'again']);
  });
});

type Step =
  | { readonly do: 'buy' | 'rush' | 'break'; readonly who: number }
  | { readonly do: 'settle' | 'crash' | 'evict' | 'look' };
type Trouble = 'none' | 'refused' | 'lost before' | 'lost after' | 'away' | 'slow';

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom('buy' as const, 'rush' as const), who: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('break' as const), who: fc.nat(5) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('settle' as const, 'look' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('crash' as const, 'evict' as const) }) },
);
const trouble = fc.constantFrom<Trouble>('none', 'none', 'refused', 'lost before', 'lost after', 'away', 'slow');

it('whatever goes wrong: who was told to have a unit has it, nobody is turned away from units that are left, and both sides agree', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 3, maxLength: 40 }),
      fc.array(trouble, { minLength: 1, maxLength: 15 }),
      async (steps, troubles) => {
        await inMarket(async (market) => {
          let appends = 0;
          market.intercept = async (_batch, commit) => {
            switch (troubles[appends++]) {
              case 'refused':
                throw new AppendError('refused', 'bad data');
              case 'lost before':
                throw new AppendError('unknown', 'cut');
              case 'lost after':
                commit();
                throw new AppendError('unknown', 'cut');
              case 'away':
                throw new AppendError('unavailable', 'starting');
              case 'slow':
                await settle(4);
                return commit();
              default:
                commit();
            }
          };
          const told: { readonly who: string; readonly op: string; readonly ok: boolean }[] = [];
          const asked: Promise<unknown>[] = [];
          for (const [index, one] of steps.entries()) {
            if (one.do === 'buy' || one.do === 'rush' || one.do === 'break') {
              const who = `b${one.who}`;
              const op = `op${index}`;
              const buying =
                one.do === 'buy'
                  ? market.buy(who, op)
                  : market.rush(who, op, one.do === 'break' ? 'broken' : undefined);
              const answer = buying.then(({ ok }) => told.push({ who, op, ok }));
              asked.push(answer.catch((error: unknown) => assert.ok(error instanceof Fault, String(error))));
            } else if (one.do === 'settle') await settle(3);
            else if (one.do === 'look') asked.push(market.taken().catch(() => {}));
            else if (one.do === 'evict') market.system.evictAll();
            else await market.crash();
          }
          await Promise.all(asked);
          market.intercept = (_batch, commit) => commit();
          await market.crash();
          const buyers = ['b0', 'b1', 'b2', 'b3', 'b4', 'b5'];
          const got: string[] = [];
          for (const who of buyers) {
            // What was still on its way when everything stopped comes to its end.
            for (let state = await wants(market, who); state > 0; state = await wants(market, who)) await settle(2);
            got.push(...(await market.got(who)));
          }
          const taken = await market.taken();
          assert.deepEqual([...got].sort(), [...taken].sort());
          assert.ok(taken.length <= UNITS);
          for (const { op, ok } of told) assert.equal(taken.includes(op), ok, `${op} was told ${ok}`);
          if (told.some(({ ok }) => !ok)) assert.equal(taken.length, UNITS, 'turned away from units that are left');
        });
      },
    ),
    { numRuns: Number(process.env.TURMOIL_RUNS ?? 150) },
  );
});

/** How many units the buyer still waits for, by what is stored. */
async function wants(market: Market, who: string): Promise<number> {
  await market.got(who);
  const rows = market.store.actors.get(`buyer\u0000${who}`)?.events ?? [];
  const text = rows.map(({ payload }) => Buffer.from(payload).toString('latin1'));
  const count = (word: string): number => text.filter((row) => row.includes(word)).length;
  return count('wants') - count('missed') - text.filter((row) => /got/.test(row)).length;
}
