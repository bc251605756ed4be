/**
 * Decides messages between actors in the batch of the decision that sent them. A message may leave only when what it rests on is
 * durable; where sender and receiver write through the same lane, both may as well become durable in one statement, and three
 * commits in a row (asked, taken, known) are one.
 *
 * The entries of sender, receiver and sender again make a *unit*: they stand side by side in the lane, are never parted by a limit of
 * a batch or by the cutting up of a refused one, and where one of them cannot be written none is. Nobody outside has heard of any
 * of them before that: who asks the receiver meanwhile waits behind its entry, as always.
 *
 * Where a decision says so (`Decision.consult`), its first message is carried before it is applied: the receiver's answer is known then, and the
 * sender needs no entry for the question.
 *
 * A message is carried only to an actor that is in memory and free, of a type that says that it never parks, defers or renders
 * (`ActorType.carried`). Whatever is not carried to its end stays pending and is sent after the commit, under the same id, as
 * any other; a receiver takes what it gets twice as one, because it must anyway.
 */
import type { ActorRef, Consultation, Decision, Effect } from './actor.ts';
import { Call } from './call.ts';
import type { Cell, Entry, Unit } from './cell.ts';
import { invariant } from './fault.ts';
import type { Limits } from './limits.ts';
import type { Stats } from './metrics.ts';

export interface CarrierOptions {
  readonly limits: Limits;
  readonly stats: Stats;
  /** The actor, where it may take a command now, in memory and on the same lane as the sender; else null. */
  readonly reach: (to: ActorRef, sender: Cell) => Cell | null;
  readonly turn: (cell: Cell, call: Call) => void;
  readonly run: (cell: Cell) => void;
}

/** What came of asking another actor within a turn. */
export interface Consulted {
  readonly decision: Decision<unknown, unknown>;
  readonly receiver: Cell;
  /** What the receiver wrote for it, and the sender's own entry once it is there. */
  readonly unit: Unit;
}

const NOTHING = (): void => {};

export class Carrier {
  readonly #options: CarrierOptions;
  /** A carried turn is under way: what it sends itself waits for the commit. */
  #carrying = false;

  constructor(options: CarrierOptions) {
    this.#options = options;
  }

  /**
   * Carries what `cell` waits for since its last turn, which left `entry` on the lane.
   * @param storedDue the actor's timer row as it was before that turn
   */
  carry(cell: Cell, entry: Entry, storedDue: number): void {
    if (this.#carrying) return;
    this.#carrying = true;
    const unit: Unit = entry.unit ?? { entries: [entry], rests: [] };
    const { length: rested } = unit.rests;
    try {
      const tried: string[] = [];
      for (let effect = next(cell, tried); effect !== null; effect = next(cell, tried)) {
        tried.push(effect.id);
        if (tried.length > this.#options.limits.carriedAtOnce) break;
        const receiver = this.#options.reach(effect.to, cell);
        if (receiver === null || cell.side?.flights?.has(effect.id) === true) continue;
        this.#exchange(cell, receiver, effect, unit, storedDue);
        if (cell.status !== 'active') break;
      }
    } finally {
      this.#carrying = false;
      if (unit.rests.length > 0) for (const member of unit.entries) member.unit = unit;
    }
    for (const receiver of unit.rests.slice(rested)) if (receiver.waiting > 0) this.#options.run(receiver);
  }

  /** @returns null: the decision that consults stands. */
  consult(sender: Cell, { to, command, instead }: Consultation<unknown, unknown>): Consulted | null {
    if (this.#carrying) return null;
    const receiver = this.#options.reach(to, sender);
    if (receiver === null) return null;
    const before = receiver.entry;
    const message = new Call(to, command, 'carried', Number.POSITIVE_INFINITY, NOTHING, NOTHING);
    this.#carrying = true;
    try {
      this.#options.turn(receiver, message);
    } finally {
      this.#carrying = false;
    }
    if (message.stage !== 'gated') return null;
    const written = receiver.entry === before ? null : receiver.entry;
    const decision = instead(message.value);
    if (decision === null) return null;
    // It rests on what both have undecided, and waits behind one entry only.
    const silent = (decision.events ?? NONE).length === 0;
    if (silent && sender.entry !== null && receiver.entry !== null) return null;
    this.#options.stats.consulted++;
    const unit: Unit = { entries: [], rests: [receiver] };
    if (written !== null && !silent) join(unit, written);
    return { decision, receiver, unit };
  }

  #exchange(sender: Cell, receiver: Cell, effect: Effect & { kind: 'send' }, unit: Unit, storedDue: number): void {
    const { turn, stats } = this.#options;
    const before = receiver.entry;
    const message = new Call(effect.to, effect.command, 'carried', Number.POSITIVE_INFINITY, NOTHING, NOTHING);
    turn(receiver, message);
    unit.rests.push(receiver);
    if (receiver.entry !== null && receiver.entry !== before) unit.entries.push(receiver.entry);
    // Turned away, or its decision failed: the message is sent again after the commit.
    if (message.stage !== 'gated') return;
    stats.effectsIssued++;
    stats.carried++;

    const asked = sender.entry;
    invariant(asked !== null, 'the sender waits for its own entry');
    // The row that would bring the sender back to this message: planned anew by the decision that takes the outcome, in the same batch.
    const { timer } = asked;
    const plannedDue = sender.storedDue;
    asked.timer = null;
    sender.storedDue = storedDue;
    const outcome = { kind: '$outcome', effectId: effect.id, outcome: message.value } as const;
    turn(sender, new Call(sender, outcome, 'outcome', Number.POSITIVE_INFINITY, NOTHING, NOTHING));
    const taken = sender.entry;
    if (taken !== null && taken !== asked) {
      // From here on the later entry says what is still waited for.
      asked.effects = [];
      unit.entries.push(taken);
      return;
    }
    asked.timer = timer;
    if (sender.status !== 'gone') sender.storedDue = plannedDue;
  }
}

const NONE: readonly never[] = [];

/** It is written together with what is in the unit, or not at all. */
export function join(unit: Unit, entry: Entry): void {
  unit.entries.push(entry);
  entry.unit = unit;
}

/** The first message that the cell's last entry waits for and that was not tried yet. */
function next(cell: Cell, tried: readonly string[]): (Effect & { kind: 'send' }) | null {
  for (const effect of cell.entry?.effects ?? [])
    if (effect.kind === 'send' && !tried.includes(effect.id)) return effect;
  return null;
}
