/** Mutants of the statements that reach the database: fences, unknown outcomes, snapshots, timers, gifts. */
import type { Batch } from '../runtime/journal.ts';
import { Lane } from '../runtime/lane.ts';
import { Timers } from '../runtime/timers.ts';
import { type Sender, type Sent, SimDatabase } from './database.ts';
import { SimJournal } from './journal.ts';
import { all, type Mutant, replaced, type Undo } from './mutant.ts';

/** Lets a mutant of a journal reach the database that it was sent to last. */
function seesDatabase(see: (database: SimDatabase) => void): Undo {
  return replaced(
    SimDatabase.prototype,
    'run',
    (original) =>
      function (this: SimDatabase, sender: Sender, sent: Sent<unknown>) {
        see(this);
        return original.call(this, sender, sent);
      } as SimDatabase['run'],
  );
}

/** By actors: what the first has written, and the rest. */
function halvesOf(batch: Batch): readonly Batch[] {
  const { events, answers, snapshots, timers } = batch;
  const [first] = events;
  if (first === undefined || events.every(({ id }) => id === first.id)) return [batch];
  const of = <Row extends { readonly id: string }>(rows: readonly Row[], its: boolean): Row[] =>
    rows.filter(({ id }) => (id === first.id) === its);
  const half = (its: boolean): Batch => ({
    ...batch,
    events: of(events, its),
    answers: of(answers, its),
    snapshots: of(snapshots, its),
    timers: of(timers, its),
  });
  return [half(true), { ...half(false), outboxAdd: [], outboxClose: [], projections: [] }];
}

export const JOURNAL_MUTANTS: readonly Mutant[] = [
  {
    name: 'fence by EXISTS',
    breaks:
      'An append looks whether its fence is there and does not lock it, so one at work commits after a takeover. One writer.',
    within: 20,
    kinds: ['orphans'],
    install: () =>
      replaced(
        SimJournal.prototype,
        'appendWork',
        () =>
          // biome-ignore lint/correctness/useYield: it is what the mutant leaves out
          function* (this: SimJournal, batch, gen) {
            this.checkFence(batch.lane, gen);
          },
      ),
  },
  {
    name: 'no fence',
    breaks: 'An append does not look whether its incarnation still lives. One writer.',
    within: 20,
    kinds: ['orphans'],
    install: () => replaced(SimJournal.prototype, 'checkFence', () => () => {}),
  },
  {
    name: 'no new generation',
    breaks:
      'After an unknown outcome the rows are read without voiding the orphan, which may commit later. In order, each exactly once.',
    within: 20,
    kinds: ['orphans'],
    install: () => replaced(SimJournal.prototype, 'raise', () => async () => 1),
  },
  {
    name: 'unknown taken for lost',
    breaks:
      'A batch with an unknown outcome is called void though it is there: its callers are told that nothing was done. One effect for one command.',
    within: 20,
    kinds: ['answers_lost'],
    install: () =>
      replaced(
        SimJournal.prototype,
        'resolve',
        (original) =>
          async function (this: SimJournal, batch) {
            await original.call(this, batch);
            return 'void';
          },
      ),
  },
  {
    name: 'unknown taken for done',
    breaks: 'A batch with an unknown outcome is called committed though it is not there. Durable before visible.',
    within: 20,
    kinds: ['connections_lost', 'orphans'],
    install: () =>
      replaced(
        SimJournal.prototype,
        'resolve',
        (original) =>
          async function (this: SimJournal, batch) {
            await original.call(this, batch);
            return 'committed';
          },
      ),
  },
  {
    name: 'unknown not resolved',
    breaks: 'A batch with an unknown outcome is sent again as if nobody had got it. In order, each exactly once.',
    within: 20,
    kinds: ['answers_lost', 'orphans'],
    install: () =>
      replaced(
        SimJournal.prototype,
        'append',
        (original) =>
          async function (this: SimJournal, batch) {
            try {
              await original.call(this, batch);
            } catch (error) {
              if ((error as { outcome?: string }).outcome !== 'unknown') throw error;
              await this.resolve(batch).catch(() => {});
              await original.call(this, batch);
            }
          },
      ),
  },
  {
    name: 'lane shared by two batches',
    breaks:
      'A batch goes out as two statements at once, so one half may be there and the other not. In order; a batch is written whole.',
    within: 20,
    kinds: ['batch_refused', 'connections_lost'],
    install: () =>
      all(
        replaced(
          SimJournal.prototype,
          'enter',
          () =>
            function (this: SimJournal, lane) {
              lane.state = 'busy';
            },
        ),
        replaced(
          SimJournal.prototype,
          'append',
          (original) =>
            async function (this: SimJournal, batch: Batch) {
              await Promise.all(halvesOf(batch).map((half) => original.call(this, half)));
            },
        ),
      ),
  },
  {
    name: 'snapshot before its events',
    breaks:
      'A snapshot is stored beside the append of its last event, which may fail. Snapshots are of committed events only.',
    within: 20,
    kinds: ['batch_refused', 'evict'],
    install: () => {
      let seen: SimDatabase | null = null;
      return all(
        seesDatabase((database) => {
          seen = database;
        }),
        replaced(
          SimJournal.prototype,
          'append',
          (original) =>
            async function (this: SimJournal, batch) {
              for (const { type, id, ...row } of batch.snapshots) {
                const stored = seen?.store.actors.get(`${type}\u0000${id}`);
                if (stored !== undefined) stored.snapshot = { type, id, ...row };
              }
              await original.call(this, batch);
            },
        ),
      );
    },
  },
  {
    name: 'recorded answer lost',
    breaks: 'The answer under a key is not in the batch of its events. A retried command has one answer.',
    within: 20,
    kinds: ['evict', 'crash'],
    install: () =>
      replaced(
        SimJournal.prototype,
        'append',
        (original) =>
          async function (this: SimJournal, batch: Batch) {
            await original.call(this, { ...batch, answers: [] });
          },
      ),
  },
  {
    name: 'timer deleted by its sweep',
    breaks: 'Reading what is due removes the rows. Timers fire, also after a crash.',
    within: 60,
    kinds: ['crash', 'crash_in_step', 'leave'],
    install: () => {
      let seen: SimDatabase | null = null;
      return all(
        seesDatabase((database) => {
          seen = database;
        }),
        replaced(
          SimJournal.prototype,
          'dueTimers',
          (original) =>
            async function (this: SimJournal, now, shards, limit) {
              const due = await original.call(this, now, shards, limit);
              for (const { type, id } of due) {
                const stored = seen?.store.actors.get(`${type}\u0000${id}`);
                if (stored !== undefined) stored.timer = null;
              }
              return due;
            },
        ),
      );
    },
  },
  {
    name: 'timer not stored',
    breaks: 'What is due is known in memory only. Timers fire, and effects are issued again, also after a crash.',
    within: 20,
    kinds: ['evict', 'crash', 'leave'],
    install: () =>
      replaced(
        Timers.prototype,
        'plan',
        (original) =>
          function (this: Timers, cell, now, hasEffects, woken) {
            original.call(this, cell, now, hasEffects, woken);
            return null;
          },
      ),
  },
  {
    name: 'gift without the fence',
    breaks:
      'A gift is not made under the fence of its lane, so one that was called void may still be done. One writer.',
    within: 150,
    kinds: ['leave', 'join', 'orphans'],
    install: () => replaced(SimJournal.prototype, 'giveWork', () => function* () {}),
  },
  {
    name: 'unknown gift taken for refused',
    breaks: 'A giver that hears nothing of its gift goes on with the shards, and the gift commits late. One writer.',
    within: 150,
    kinds: ['leave', 'join', 'orphans'],
    install: () =>
      replaced(
        Lane.prototype,
        'give',
        () =>
          async function (this: Lane, journal, gift) {
            return await journal.give(gift).then(
              () => 'given' as const,
              (error: unknown) => {
                if ((error as { outcome?: string }).outcome === 'unknown')
                  void journal.resolveGift(gift).catch(() => {});
                return 'refused' as const;
              },
            );
          },
      ),
  },
];
