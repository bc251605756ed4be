/** Mutants of what stands between a decision and whoever hears of it: the gate, the lanes, the actors in memory. */
import type { Call } from '../runtime/call.ts';
import { Carrier } from '../runtime/carry.ts';
import { Cell, type Entry, type Kind } from '../runtime/cell.ts';
import { Effects } from '../runtime/effects.ts';
import { Gate } from '../runtime/gate.ts';
import { KeyTable } from '../runtime/idempotency.ts';
import { Lane } from '../runtime/lane.ts';
import { Residents } from '../runtime/residents.ts';
import { all, type Mutant, replaced, type Undo } from './mutant.ts';

/** Tells callers of the kind as soon as they are put behind the commit. */
function toldEarly(which: (call: Call) => boolean): Undo {
  return replaced(
    Lane.prototype,
    'enqueue',
    (original) =>
      function (this: Lane, entry: Entry) {
        const gated: Call[] = [];
        gated.push = (...calls: Call[]) => {
          for (const call of calls) {
            if (call.outside && call.rendering === 'none' && !call.replay && which(call)) call.resolve(call.value);
          }
          return Array.prototype.push.apply(gated, calls);
        };
        entry.gated = gated;
        original.call(this, entry);
      },
  );
}

export const GATE_MUTANTS: readonly Mutant[] = [
  {
    name: 'reply before commit',
    breaks: 'A write is answered when it is decided. Durable before visible.',
    within: 20,
    install: () => toldEarly((call) => call.wrote),
  },
  {
    name: 'read past the gate',
    breaks:
      'A read, or a refusal, is answered at once, though the state that it saw is not durable. Durable before visible.',
    within: 40,
    install: () => toldEarly((call) => !call.wrote),
  },
  {
    name: 'message before commit',
    breaks: 'Messages and calls go out when they are decided. Durable before visible.',
    within: 40,
    install: () => {
      const systems = new WeakMap<Kind, Effects>();
      return all(
        replaced(
          Effects.prototype,
          'issue',
          (original) =>
            function (this: Effects, cell, pending) {
              systems.set(cell.kind, this);
              original.call(this, cell, pending);
            },
        ),
        replaced(
          Lane.prototype,
          'enqueue',
          (original) =>
            function (this: Lane, entry: Entry) {
              original.call(this, entry);
              const effects = systems.get(entry.cell.kind);
              const { cell } = entry;
              if (entry.effects.length > 0) queueMicrotask(() => effects?.issue(cell, entry.effects));
            },
        ),
      );
    },
  },
  {
    name: 'answer past the lease',
    breaks: 'The gate does not ask whether this member may still answer. One writer: only one may answer.',
    within: 100,
    kinds: ['pause_in_step'],
    install: () =>
      replaced(
        Gate.prototype,
        'answer',
        () =>
          function (this: Gate, call: Call, value: unknown) {
            this.relay(call, value);
          },
      ),
  },
  {
    name: 'failed batch stays in memory',
    breaks:
      'The actors of a failed batch go on from a state that was never written. In order, without gaps; durable before visible.',
    within: 20,
    kinds: ['batch_refused', 'connections_lost'],
    install: () =>
      replaced(
        Residents.prototype,
        'evict',
        (original) =>
          function (this: Residents, cell, fate) {
            if (fate === null) original.call(this, cell, fate);
          },
      ),
  },
  {
    name: 'busy actor passivated',
    breaks:
      'An actor whose last entry is still on its way may leave memory, with a snapshot of it. In order; snapshots are of committed events only.',
    within: 60,
    kinds: ['evict', 'database_slow'],
    install: () => {
      const before = Object.getOwnPropertyDescriptor(Cell.prototype, 'busy');
      if (before === undefined) throw new Error('there is no busy to replace');
      Object.defineProperty(Cell.prototype, 'busy', {
        ...before,
        get(this: Cell) {
          return this.status !== 'active' || this.mailbox !== null || (this.side !== null && !this.side.empty);
        },
      });
      return () => void Object.defineProperty(Cell.prototype, 'busy', before);
    },
  },
  {
    name: 'unit parted',
    breaks:
      'What was decided in one batch with its sender may be written without it. In order: nothing rests on what is not written.',
    within: 60,
    kinds: ['batch_refused'],
    install: () =>
      replaced(
        Carrier.prototype,
        'carry',
        (original) =>
          function (this: Carrier, cell, entry, storedDue) {
            original.call(this, cell, entry, storedDue);
            for (const member of entry.unit?.entries ?? []) member.unit = null;
          },
      ),
  },
  {
    name: 'dedupe dropped',
    breaks: 'A key that is known is not recognised. A retried command has one effect and one answer.',
    within: 20,
    install: () => replaced(KeyTable.prototype, 'has', () => () => false),
  },
  {
    name: 'dedupe lost with the memory',
    breaks: 'Keys are not read back from the history. A retried command has one effect, also after a crash.',
    within: 20,
    kinds: ['evict'],
    install: () => {
      let taking = false;
      return all(
        replaced(
          KeyTable.prototype,
          'take',
          (original) =>
            function (this: KeyTable, hash, seq, now) {
              taking = true;
              original.call(this, hash, seq, now);
              taking = false;
            },
        ),
        replaced(
          KeyTable.prototype,
          'restore',
          (original) =>
            function (this: KeyTable, hash, seq, at) {
              if (taking) original.call(this, hash, seq, at);
            },
        ),
      );
    },
  },
  {
    name: 'effect lost at a crash',
    breaks:
      'What an actor waits for is issued when it is decided, and never again from its stored state. Everything becomes available again.',
    within: 20,
    kinds: ['crash_in_step', 'evict'],
    install: () => {
      const decided = new WeakMap<Cell, Set<string>>();
      return all(
        replaced(
          Lane.prototype,
          'enqueue',
          (original) =>
            function (this: Lane, entry: Entry) {
              const known = decided.get(entry.cell) ?? new Set();
              decided.set(entry.cell, known);
              if (entry.rows.length > 0) for (const { id } of entry.effects) known.add(id);
              original.call(this, entry);
            },
        ),
        replaced(
          Effects.prototype,
          'issue',
          (original) =>
            function (this: Effects, cell, pending) {
              const known = decided.get(cell);
              original.call(
                this,
                cell,
                pending.filter(({ id }) => known?.has(id)),
              );
            },
        ),
      );
    },
  },
];
