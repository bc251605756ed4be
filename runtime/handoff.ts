/**
 * How shards are given to another member while both live. A *parcel* is what goes in one gift: shards of one lane, for one
 * receiver. It relies on the lane (a gift is a statement in an append's place, and its outcome always becomes known) and on the
 * membership (nobody else gives a living member's shards away), and promises that from the sending of the gift until its
 * outcome is known nothing is decided or answered from the state of these shards, and afterwards only where they are this member's.
 *
 * States of a parcel's shards:
 * - open: no parcel. `give` → `closing`.
 * - `closing`: what is not decided yet, and what comes now, is kept here (new ones up to `handoffLimit`, then `overloaded`). What is
 *   decided goes on: answers being rendered, entries on their lane, callers behind them. Each actor of which nothing of that is
 *   left leaves memory. All of them gone and all answers given → `giving`; the time-out → `kept`.
 *   Effects at work are not waited for: they are pending in the stored state, and whoever has the shard next issues them
 *   again under the same ids. Nor are commands between two actors that both close: these wait here like any other, and the reply goes
 *   to an actor that asks again. So nothing that closes waits for anything undecided.
 *   Callers parked inside an actor leave with it where their command may be decided twice (a key, a message between actors); where it
 *   may not, the actor stays up to `handoffLingerMs`, takes outcomes, and then they hear `outcome_unknown`.
 * - `giving`: the gift is on the lane. Nothing of these shards is in memory and nothing comes in. The journal says `given` or `refused`;
 *   an unknown outcome is resolved like an append's, for as long as it takes.
 * - given: the membership is told, and what was kept here goes the way of any call for a shard of another member's.
 * - kept: the gift was refused, lost, or not sent in time. What was kept here is decided here, and actors that wait for effects come back.
 */
import { type Call, isOver } from './call.ts';
import type { Cell, Kind } from './cell.ts';
import type { Clock } from './clock.ts';
import { Fault } from './fault.ts';
import type { Gate } from './gate.ts';
import type { Gift, GivingJournal, Journal } from './journal.ts';
import type { GiftOutcome, Lane } from './lane.ts';
import type { Limits } from './limits.ts';
import type { GivenShard, GivingMembership, Membership } from './members.ts';
import type { Stats } from './metrics.ts';
import type { Residents } from './residents.ts';
import { laneOf, SHARD_COUNT, shardOf } from './shard.ts';

export interface HandoffOptions {
  readonly journal: Journal;
  readonly membership: Membership;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly stats: Stats;
  readonly gate: Gate;
  readonly residents: Residents;
  readonly kinds: ReadonlyMap<string, Kind>;
  readonly lane: (shard: number) => Lane;
  /** Takes the turns of an active actor. */
  readonly run: (cell: Cell) => void;
  /** The hand-over is over: the call goes its normal way, which may lead to the other member now. */
  readonly again: (call: Call) => void;
  /** The shards stay: their actors that wait for something come back to memory. */
  readonly resumed: (shards: readonly number[]) => void;
  /** The shards are another's now. */
  readonly gone: () => void;
  readonly report: (event: string, detail: Readonly<Record<string, unknown>>) => void;
}

/** What is told of a parcel in the end. */
type Ended = GiftOutcome | 'timed_out';

interface Parcel {
  state: 'closing' | 'giving' | 'over';
  readonly to: string;
  readonly shards: readonly number[];
  /** As sent. */
  given: readonly GivenShard[];
  /** On the monotonic clock. */
  readonly deadline: number;
  readonly lingerUntil: number;
  /** Calls kept until the end, in the order in which they are to be decided. */
  readonly kept: Set<Call>;
  /** Actors still in memory. */
  readonly cells: Set<Cell>;
  /** Calls whose answers are still to leave from here. */
  readonly leaving: Set<Call>;
  readonly timers: { cancel(): void }[];
  readonly done: (outcome: Ended) => void;
}

export class Handoff {
  /** Shards on their way. The hot path compares this, and asks `keeps` only where it is not 0. */
  closing = 0;
  readonly #options: HandoffOptions;
  /** By shard. */
  readonly #parcels: (Parcel | undefined)[] = new Array<Parcel | undefined>(SHARD_COUNT).fill(undefined);
  readonly #open = new Set<Parcel>();
  #scheduled = false;

  constructor(options: HandoffOptions) {
    this.#options = options;
  }

  /** Calls kept here. */
  get waiting(): number {
    let sum = 0;
    for (const parcel of this.#open) sum += parcel.kept.size;
    return sum;
  }

  /** See `ActorSystem.give`. Shards that are not this member's, or are on their way already, are left out. */
  async give(shards: readonly number[], to: string, timeoutMs: number): Promise<readonly number[]> {
    const { journal, membership } = this.#options;
    if (!canGive(journal) || !mayGive(membership)) throw new Error('this journal or membership gives no shards away');
    const byLane = new Map<number, number[]>();
    for (const shard of new Set(shards)) {
      if (!membership.owns(shard) || this.#parcels[shard] !== undefined) continue;
      const lane = laneOf(shard, journal.lanes);
      byLane.set(lane, [...(byLane.get(lane) ?? []), shard]);
    }
    const given = await Promise.all(
      [...byLane.values()].map(async (own) => {
        const outcome = await this.#hand(own, to, timeoutMs);
        return outcome === 'given' ? own : [];
      }),
    );
    return given.flat();
  }

  /** True where the call is taken care of here, since its shard is on its way. */
  keeps(call: Call, shard: number, cell: Cell | undefined): boolean {
    const parcel = this.#parcels[shard];
    if (parcel === undefined) return false;
    const { gate, limits } = this.#options;
    switch (call.origin) {
      case 'outcome':
        // Those who wait for it inside the actor may hear it from nobody else.
        if (cell !== undefined && this.#lingers(parcel, cell)) return false;
        gate.drop(call, onItsWay());
        return true;
      case 'wake':
        gate.drop(call, onItsWay());
        return true;
      default:
        if (!call.listed && this.waiting >= limits.handoffLimit) {
          gate.fail(call, new Fault('overloaded', 'too many wait for this shard to move', { retryAfterMs: 1000 }));
          return true;
        }
        gate.calls.add(call);
        keep(parcel, call);
        return true;
    }
  }

  /** Something that a parcel may wait for has happened; looked at soon, once for all that happens until then. */
  poke(): void {
    if (this.#scheduled || this.closing === 0) return;
    this.#scheduled = true;
    this.#options.clock.schedule(() => {
      this.#scheduled = false;
      for (const parcel of this.#open) this.#advance(parcel);
    });
  }

  /**
   * The rows name others as owners of these shards. After a give nothing of them is in memory; where something is, they were taken
   * from this member, which will find itself fenced: whatever of its decisions is not durable is void.
   */
  lost(shards: readonly number[]): void {
    const { kinds, residents, again, report } = this.#options;
    const gone = new Set(shards);
    const cells: Cell[] = [];
    for (const kind of kinds.values())
      for (const cell of kind.cells.values()) if (gone.has(cell.shard)) cells.push(cell);
    if (cells.length === 0) return;
    report('shards_lost', { shards: [...new Set(cells.map((cell) => cell.shard))], actors: cells.length });
    for (const cell of cells) {
      const undecided = cell.takeUndecided();
      residents.evict(cell, new Fault('shard_unavailable', 'the shard was taken over by another member'));
      for (const call of undecided) again(call);
    }
  }

  /** Everything ends; the calls are told by whoever ends it. */
  stop(): void {
    for (const parcel of this.#open) this.#end(parcel, 'closed');
  }

  #hand(shards: readonly number[], to: string, timeoutMs: number): Promise<Ended> {
    const { clock, limits, gate } = this.#options;
    return new Promise((done) => {
      const now = clock.monotonic();
      const lingerMs = Math.min(limits.handoffLingerMs, timeoutMs / 2);
      const parcel: Parcel = {
        state: 'closing',
        to,
        shards,
        given: [],
        deadline: now + timeoutMs,
        lingerUntil: now + lingerMs,
        kept: new Set(),
        cells: new Set(),
        leaving: new Set(),
        timers: [],
        done,
      };
      for (const shard of shards) this.#parcels[shard] = parcel;
      this.#open.add(parcel);
      this.closing += shards.length;
      gate.onAnswered = () => this.poke();
      parcel.timers.push(
        clock.setTimeout(() => this.poke(), lingerMs),
        clock.setTimeout(() => {
          if (parcel.state === 'closing') this.#end(parcel, 'timed_out');
        }, timeoutMs),
      );
      this.#collect(parcel);
      this.poke();
    });
  }

  /** Finds what the parcel has in memory: once, by looking at everything (a pass over 50,000 actors takes about a millisecond). */
  #collect(parcel: Parcel): void {
    const { kinds, gate } = this.#options;
    for (const kind of kinds.values()) {
      for (const cell of kind.cells.values()) if (this.#parcels[cell.shard] === parcel) parcel.cells.add(cell);
    }
    for (const call of gate.calls.all()) {
      const here = call.stage !== 'forwarded' && kinds.has(call.ref.type);
      if (here && this.#parcels[shardOf(call.ref.type, call.ref.id)] === parcel) parcel.leaving.add(call);
    }
    for (const cell of parcel.cells) this.#empty(parcel, cell);
  }

  /** Takes out of the actor what is not decided yet. */
  #empty(parcel: Parcel, cell: Cell): void {
    const undecided = cell.takeUndecided();
    if (cell.side !== null) cell.side.waking = false;
    cell.trim();
    for (const call of undecided) {
      if (isOver(call)) continue;
      if (call.origin === 'outcome' && this.#lingers(parcel, cell)) cell.enqueue(call);
      else if (call.origin === 'outcome' || call.origin === 'wake') this.#options.gate.drop(call, onItsWay());
      else keep(parcel, call);
    }
    if (cell.mailbox !== null) this.#options.run(cell);
  }

  /** Somebody is parked inside the actor whose command cannot be decided again elsewhere, and there is still time for its outcome. */
  #lingers(parcel: Parcel, cell: Cell): boolean {
    if (cell.status === 'gone' || cell.status === 'loading' || cell.status === 'waiting') return false;
    if (this.#options.clock.monotonic() >= parcel.lingerUntil) return false;
    for (const calls of cell.side?.parked?.values() ?? []) if (calls.some((call) => !call.repeatable)) return true;
    return false;
  }

  #advance(parcel: Parcel): void {
    if (parcel.state !== 'closing') return;
    for (const cell of parcel.cells) this.#release(parcel, cell);
    for (const call of parcel.leaving) if (isOver(call)) parcel.leaving.delete(call);
    if (parcel.cells.size === 0 && parcel.leaving.size === 0) void this.#send(parcel);
  }

  /** Takes the actor out of memory where nothing holds it there. */
  #release(parcel: Parcel, cell: Cell): void {
    if (cell.status === 'gone') {
      parcel.cells.delete(cell);
      // A batch failed, or a turn threw: another cell may have taken its place. Being added here, it is looked at in this pass.
      const heir = cell.kind.cells.get(cell.id);
      if (heir !== undefined) parcel.cells.add(heir);
      return;
    }
    this.#empty(parcel, cell);
    const free = cell.status === 'active' && cell.entry === null && !this.#lingers(parcel, cell);
    if (!free && cell.status !== 'loading') return;
    for (const call of cell.takeAllParked()) {
      if (isOver(call)) continue;
      if (call.repeatable) {
        call.begun = true;
        keep(parcel, call);
      } else {
        this.#options.gate.fail(call, new Fault('outcome_unknown', 'the outcome will be known to another member'));
      }
    }
    this.#options.residents.release(cell);
    parcel.cells.delete(cell);
  }

  async #send(parcel: Parcel): Promise<void> {
    const { journal, membership, lane, report } = this.#options;
    const [first] = parcel.shards;
    if (first === undefined || !canGive(journal)) return;
    parcel.state = 'giving';
    parcel.given = parcel.shards.map((shard) => ({ shard, epoch: membership.epoch(shard) }));
    const gift: Gift = { lane: laneOf(first, journal.lanes), to: parcel.to, shards: parcel.given };
    const outcome = await lane(first).give(journal, gift, parcel.deadline);
    // A fenced lane has ended everything meanwhile.
    if (this.#over(parcel)) return;
    report(outcome === 'given' ? 'shards_given' : 'shards_kept', { to: parcel.to, shards: parcel.shards, outcome });
    this.#end(parcel, outcome);
  }

  /** The state may have changed during an await; a method of its own, so that the compiler does not assume otherwise. */
  #over(parcel: Parcel): boolean {
    return parcel.state === 'over';
  }

  #end(parcel: Parcel, outcome: Ended): void {
    const { membership, stats, gate, again, resumed, gone } = this.#options;
    parcel.state = 'over';
    for (const timer of parcel.timers) timer.cancel();
    for (const shard of parcel.shards) this.#parcels[shard] = undefined;
    this.#open.delete(parcel);
    this.closing -= parcel.shards.length;
    if (this.closing === 0) gate.onAnswered = null;
    if (outcome === 'given') {
      stats.shardsGiven += parcel.shards.length;
      if (mayGive(membership)) membership.gave(parcel.given, parcel.to);
      gone();
    } else {
      stats.shardsKept += parcel.shards.length;
    }
    parcel.done(outcome);
    if (outcome === 'closed') return;
    const kept = [...parcel.kept];
    for (const call of kept) call.leave = null;
    for (const call of kept) again(call);
    if (outcome !== 'given') resumed(parcel.shards);
  }
}

/** Puts the call behind those kept already; one whose time ends meanwhile leaves no trace. */
function keep(parcel: Parcel, call: Call): void {
  parcel.leaving.delete(call);
  parcel.kept.add(call);
  call.leave = () => parcel.kept.delete(call);
}

function onItsWay(): Fault {
  return new Fault('shard_unavailable', 'the shard is on its way to another member');
}

function canGive(journal: Journal): journal is GivingJournal {
  return 'give' in journal && 'resolveGift' in journal;
}

function mayGive(membership: Membership): membership is GivingMembership {
  return 'gave' in membership;
}
