/**
 * A rolling upgrade on one store: a release that knows version 1 of a toy's events and one that knows version 2 have the same actor in
 * turn. While a member of the old one lives, what the new one writes is to be readable by both.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ActorType, AnyActorType } from './actor.ts';
import { faultOf, settle } from './fixture.ts';
import type { Limits } from './limits.ts';
import { type Membership, soleMember } from './members.ts';
import { MemoryJournal, MemoryStore } from './memory.ts';
import { type ActorSystem, createActorSystem } from './system.ts';
import { SystemClock } from './system-clock.ts';

type Command = { kind: 'add'; n: number; note?: string } | { kind: 'double' } | { kind: 'clear' } | { kind: 'get' };

interface OldState {
  sum: number;
}
type OldEvent = { kind: 'added'; n: number };

const oldToy: ActorType<OldState, Command, OldEvent, OldState> = {
  type: 'toy',
  eventVersion: 1,
  initial: () => ({ sum: 0 }),
  decide(state, command) {
    if (command.kind !== 'add') return { reply: { sum: state.sum } };
    return { events: [{ kind: 'added', n: command.n }], reply: { sum: state.sum + command.n } };
  },
  apply(state, event) {
    if (event.kind !== 'added') throw new Error('unknown event');
    return { sum: state.sum + event.n };
  },
  snapshot: (state) => state,
  restore: (_id, data) => data as OldState,
};

interface NewState extends OldState {
  notes: number;
}
type NewEvent = { kind: 'added2'; n: number; note: string | null } | { kind: 'doubled' } | { kind: 'cleared' };

const newToy: ActorType<NewState, Command, NewEvent | OldEvent, NewState> = {
  type: 'toy',
  eventVersion: 2,
  initial: () => ({ sum: 0, notes: 0 }),
  decide(state, command, ctx) {
    const reply = { ...state };
    switch (command.kind) {
      case 'add':
        return { events: [{ kind: 'added2', n: command.n, note: command.note ?? null }], reply };
      case 'double':
        // Avoids what old members cannot read, by what they can.
        if (ctx.version < 2) return { events: [{ kind: 'added', n: state.sum }], reply };
        return { events: [{ kind: 'doubled' }], reply };
      case 'clear':
        return { events: [{ kind: 'cleared' }], reply };
      default:
        return { reply };
    }
  },
  apply(state, event, version) {
    switch (event.kind) {
      case 'added':
        return { ...state, sum: state.sum + event.n };
      case 'added2':
        assert.equal(version, 2);
        return { sum: state.sum + event.n, notes: state.notes + (event.note === null ? 0 : 1) };
      case 'doubled':
        return { ...state, sum: state.sum * 2 };
      case 'cleared':
        return { sum: 0, notes: 0 };
    }
  },
  downgrade(event, version) {
    assert.equal(version, 1);
    if (event.kind === 'added2') return { kind: 'added', n: event.n };
    return event.kind === 'added' ? event : null;
  },
  snapshot: (state) => state,
  restore: (_id, data) => ({ notes: 0, ...(data as OldState) }),
};

const REF = { type: 'toy', id: 'a' };
const SMALL: Partial<Limits> = { snapshotBytes: 40, snapshotEvents: 2 };

/** One release of the program on a store that it shares with others. */
class Release {
  readonly system: ActorSystem;
  readonly #reports: string[] = [];

  constructor(store: MemoryStore, type: AnyActorType, allRead: () => number, limits: Partial<Limits> = {}) {
    const membership: Membership = { ...soleMember(), writes: (_type, newest) => Math.min(newest, allRead()) };
    this.system = createActorSystem({
      types: [type],
      journal: new MemoryJournal({ lanes: 1, store }),
      clock: new SystemClock(),
      membership,
      limits: { ...SMALL, ...limits },
      report: (event) => this.#reports.push(event),
    });
  }

  async ask(command: Command): Promise<NewState> {
    assert.deepEqual(this.#reports, []);
    return (await this.system.ask(REF, command)) as NewState;
  }

  /** As when its shard goes to another. */
  leave(): void {
    this.system.evictAll();
  }
}

const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    kind: fc.constant('add' as const),
    n: fc.integer({ min: -9, max: 9 }),
    note: fc.string({ maxLength: 5 }),
  }),
  fc.record({ kind: fc.constant('add' as const), n: fc.integer({ min: -9, max: 9 }) }),
  fc.record({ kind: fc.constantFrom('double' as const, 'get' as const) }),
);
const step = fc.record({ command, by: fc.constantFrom('old' as const, 'new' as const) });

const versions = (store: MemoryStore): number[] =>
  store.actors.get('toy\u0000a')?.events.map((row) => row.version) ?? [];

describe('while members live that read only an earlier version', () => {
  it('whichever release has the actor, all read the same state, and afterwards the new version is written', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 30 }),
        fc.array(command, { maxLength: 20 }),
        async (mixed, later) => {
          const store = new MemoryStore();
          let allRead = 1;
          const releases = {
            old: new Release(store, oldToy, () => allRead),
            new: new Release(store, newToy, () => allRead),
          };
          let sum = 0;
          const expected = (one: Command, by: 'old' | 'new'): void => {
            if (one.kind === 'add') sum += one.n;
            if (one.kind === 'double' && by === 'new') sum *= 2;
          };
          for (const { command: one, by } of mixed) {
            await releases[by].ask(one);
            expected(one, by);
            // What is in memory is what every release reads from the store.
            for (const name of ['new', 'old', 'new'] as const) {
              assert.equal((await releases[name].ask({ kind: 'get' })).sum, sum, `${name} after ${one.kind} by ${by}`);
              releases[name].leave();
            }
          }
          assert.ok(versions(store).every((version) => version === 1));
          releases.old.system.stop();
          allRead = 2;
          const written = versions(store).length;
          for (const one of later) {
            await releases.new.ask(one);
            expected(one, 'new');
          }
          releases.new.leave();
          assert.equal((await releases.new.ask({ kind: 'get' })).sum, sum);
          assert.ok(
            versions(store)
              .slice(written)
              .every((version) => version === 2),
          );
          releases.new.system.stop();
        },
      ),
      { numRuns: 60 },
    );
  });

  it('an event that their version has nothing like is rejected, and nothing else is lost by it', async () => {
    const store = new MemoryStore();
    let allRead = 1;
    const release = new Release(store, newToy, () => allRead);
    await release.ask({ kind: 'add', n: 3, note: 'x' });
    assert.equal(await faultOf(release.ask({ kind: 'clear' })), 'rejected');
    assert.deepEqual(await release.ask({ kind: 'get' }), { sum: 3, notes: 0 });
    assert.equal(release.system.stats.evictions, 0);
    allRead = 2;
    await release.ask({ kind: 'clear' });
    assert.deepEqual(await release.ask({ kind: 'get' }), { sum: 0, notes: 0 });
    assert.deepEqual(versions(store), [1, 2]);
    release.system.stop();
  });

  it('a type that says nothing of earlier versions takes no writes, and reads go on', async () => {
    const store = new MemoryStore();
    const { downgrade: _, ...mute } = newToy;
    const release = new Release(store, mute, () => 1);
    assert.equal(await faultOf(release.ask({ kind: 'add', n: 1 })), 'rejected');
    assert.deepEqual(await release.ask({ kind: 'get' }), { sum: 0, notes: 0 });
    release.system.stop();
  });

  it('no snapshot is written, along with events or at passivation, and the next event after that brings one', async () => {
    const store = new MemoryStore();
    let allRead = 1;
    // No actor stays: each commit is followed by a passivation.
    const release = new Release(store, newToy, () => allRead, { actorsLimit: 0 });
    for (let n = 0; n < 30; n++) await release.ask({ kind: 'add', n });
    const snapshot = () => store.actors.get('toy\u0000a')?.snapshot;
    await settle();
    assert.equal(release.system.stats.passivations, 30);
    assert.equal(snapshot(), null);
    allRead = 2;
    await release.ask({ kind: 'add', n: 1 });
    assert.equal(snapshot()?.seq, 31);
    assert.equal(snapshot()?.version, 2);
    release.system.stop();
  });
});

it('an old member does not read what was written in a version that it does not know: the actor is quarantined, never misread', async () => {
  const store = new MemoryStore();
  const fresh = new Release(store, newToy, () => 2);
  await fresh.ask({ kind: 'add', n: 1, note: 'x' });
  const old = new Release(store, oldToy, () => 1);
  assert.equal(await faultOf(old.system.ask(REF, { kind: 'get' })), 'quarantined');
  fresh.system.stop();
  old.system.stop();
});
