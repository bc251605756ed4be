/**
 * Where every command comes in, from wherever: it is refused, handed to the member that has its shard (`forwarding.ts`), kept while that
 * shard changes hands (`handoff.ts`), decided at once, or put into its actor's mailbox. Everything that turns a new command away comes
 * before anything is done with it.
 */
import type { ActorRef } from './actor.ts';
import { Call } from './call.ts';
import type { Cell, Kind } from './cell.ts';
import type { Effects } from './effects.ts';
import { Fault } from './fault.ts';
import type { Forwarding } from './forwarding.ts';
import type { Gate } from './gate.ts';
import type { Handoff } from './handoff.ts';
import type { Limits } from './limits.ts';
import type { Membership } from './members.ts';
import type { Stats } from './metrics.ts';
import type { Residents } from './residents.ts';
import { laneOf, shardOf } from './shard.ts';
import type { Turns } from './turn.ts';

export interface IntakeOptions {
  readonly lanes: number;
  readonly limits: Limits;
  readonly stats: Stats;
  readonly membership: Membership;
  readonly kinds: ReadonlyMap<string, Kind>;
  readonly gate: Gate;
  readonly forwarding: Forwarding;
  readonly handoff: Handoff;
  readonly residents: Residents;
  readonly turns: Turns;
  readonly effects: Effects;
}

/** `running` → `draining` → `stopped`; `fenced` from either: this incarnation may not write or answer any more. */
export type Phase = 'running' | 'draining' | 'stopped' | 'fenced';

export class Intake {
  phase: Phase = 'running';
  readonly #options: IntakeOptions;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** @param fresh the actor cannot have a history. */
  submit(call: Call, fresh: boolean): void {
    const kind = this.#options.kinds.get(call.ref.type);
    if (kind === undefined) {
      this.#options.gate.fail(
        call,
        new Fault('internal', `no actor type is named ${call.ref.type}`, { retryable: false }),
      );
      return;
    }
    const { id } = call.ref;
    let cell = kind.cells.get(id);
    const shard = cell === undefined ? shardOf(call.ref.type, id) : cell.shard;
    const owned = this.#options.membership.owns(shard);
    const refusal = this.#refusal(call, cell, owned);
    if (refusal !== null) {
      this.#options.gate.fail(call, refusal);
      return;
    }
    if (!owned) {
      this.#options.forwarding.take(call, shard);
      return;
    }
    if (this.#options.handoff.closing > 0 && this.#options.handoff.keeps(call, shard, cell)) return;
    this.#options.gate.calls.add(call);
    if (cell === undefined) cell = this.#options.residents.bringIn(kind, id, shard, fresh);
    else this.#options.residents.passivation.touch(cell);
    if (call.origin === 'wake') {
      cell.needSide().waking = true;
      this.#options.stats.wakes++;
    }
    if (cell.status === 'active' && cell.waiting === 0) {
      this.#options.turns.turn(cell, call);
      if (cell.waiting > 0) this.#options.turns.run(cell);
    } else {
      cell.enqueue(call);
    }
  }

  /** The call was accepted before, and comes back from another member or from a hand-over: what is told to new ones only is not told to it. */
  again(call: Call): void {
    if (call.stage === 'answered') return;
    call.stage = 'waiting';
    call.wrote = false;
    this.submit(call, false);
  }

  /** The actor, where a message may be decided in its sender's batch (`carry.ts`); else null. */
  reach(to: ActorRef, sender: Cell): Cell | null {
    const { kinds, lanes, handoff, membership, residents } = this.#options;
    const kind = kinds.get(to.type);
    if (kind?.definition.carried !== true || handoff.closing > 0) return null;
    const cell = kind.cells.get(to.id);
    if (cell === undefined || cell === sender || cell.status !== 'active' || cell.waiting > 0) return null;
    if (laneOf(cell.shard, lanes) !== laneOf(sender.shard, lanes) || !membership.owns(cell.shard)) return null;
    residents.passivation.touch(cell);
    return cell;
  }

  /** Why the command is not taken, if so: nothing of it has been done then. */
  #refusal(call: Call, cell: Cell | undefined, owned: boolean): Fault | null {
    const { outside } = call;
    const { calls } = this.#options.gate;
    if (this.phase === 'fenced') return new Fault('shard_unavailable', 'this node was fenced');
    if (this.phase === 'stopped' || (this.phase === 'draining' && call.origin === 'caller' && !call.listed)) {
      return new Fault('draining', 'this node is going away', { retryAfterMs: 1000 });
    }
    if (outside && !call.listed && calls.callers >= this.#options.limits.commandsLimit) {
      return overloaded('too many open commands');
    }
    if (!owned) return null;
    if (outside && !this.#options.membership.mayAnswer()) {
      return new Fault('shard_unavailable', 'this node may not answer now', { retryAfterMs: 1000 });
    }
    if (cell === undefined) {
      if (outside && this.#options.residents.passivation.size >= this.#options.limits.actorsHardLimit) {
        return overloaded('too many busy actors');
      }
      return this.#options.residents.quarantine.refusal(call.ref);
    }
    return cell.waiting >= this.#options.limits.mailboxLimit ? overloaded("the actor's mailbox is full") : null;
  }

  /** Sends a `$wake`, and no second while one waits. */
  wake(ref: ActorRef): void {
    if (this.#options.kinds.get(ref.type)?.cells.get(ref.id)?.side?.waking === true) return;
    const taken = (pending: unknown): void => {
      const cell = this.#options.kinds.get(ref.type)?.cells.get(ref.id);
      if (cell !== undefined && Array.isArray(pending)) this.#options.effects.issue(cell, pending);
    };
    const command = { kind: '$wake' } as const;
    this.submit(new Call(ref, command, 'wake', Number.POSITIVE_INFINITY, taken, () => {}), false);
  }
}

function overloaded(message: string): Fault {
  return new Fault('overloaded', message, { retryAfterMs: 1000 });
}
