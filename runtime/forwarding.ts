/**
 * What becomes of a command whose shard another member has. A caller's, and an actor's message, is handed to that member
 * (`remote.ts`) and stays among the open calls, so that its deadline and a drain see it; a peer's is told `moved` and never
 * handed on, or two members that each believe the other has the shard would pass it to and fro; a wake and an
 * effect's outcome end without a word: the member that has the shard wakes its actors and asks for outcomes by itself.
 */
import type { ActorRef, KeyRef } from './actor.ts';
import type { Call } from './call.ts';
import { Fault } from './fault.ts';
import type { Gate } from './gate.ts';
import type { Stats } from './metrics.ts';
import type { ForwardedCall, Remote } from './remote.ts';

export interface ForwardingOptions {
  /** Undefined: this member knows no others. */
  readonly remote: Remote | undefined;
  readonly gate: Gate;
  readonly stats: Stats;
  /** The shard is this member's after all: the call goes its normal way. */
  readonly home: (call: Call) => void;
}

export class Forwarding {
  readonly #options: ForwardingOptions;

  constructor(options: ForwardingOptions) {
    this.#options = options;
  }

  take(call: Call, shard: number): void {
    const { remote, gate, stats, home } = this.#options;
    switch (call.origin) {
      case 'wake':
      case 'outcome':
        gate.drop(call, new Fault('moved', 'another member has the shard'));
        return;
      case 'peer':
        gate.fail(call, new Fault('moved', 'another member has the shard'));
        return;
      case 'caller':
      case 'send':
        if (remote === undefined) {
          gate.fail(call, unavailable());
          return;
        }
        stats.forwarded++;
        if (call.origin === 'caller') stats.asksForwarded++;
        call.stage = 'forwarded';
        gate.calls.add(call);
        remote.forward(new Handed(call, shard, gate, home));
    }
  }
}

/** One hand-over of a call to the others: the first of its ends counts, and none once the call has been answered. */
class Handed implements ForwardedCall {
  readonly ref: ActorRef;
  readonly shard: number;
  readonly command: unknown;
  readonly key: KeyRef | undefined;
  readonly render: boolean;
  readonly deadline: number;
  readonly repeatable: boolean;
  readonly #call: Call;
  readonly #gate: Gate;
  readonly #home: (call: Call) => void;
  #open = true;

  constructor(call: Call, shard: number, gate: Gate, home: (call: Call) => void) {
    this.ref = call.ref;
    this.shard = shard;
    this.command = call.command;
    this.key = call.key;
    this.render = call.render;
    this.deadline = call.deadline;
    this.repeatable = call.repeatable;
    this.#call = call;
    this.#gate = gate;
    this.#home = home;
  }

  resolve(value: unknown): void {
    if (this.#end()) this.#gate.relay(this.#call, value);
  }

  reject(fault: Fault): void {
    if (this.#end()) this.#gate.fail(this.#call, fault.code === 'moved' ? unavailable(fault) : fault);
  }

  home(begun = false): void {
    if (!this.#end()) return;
    if (begun) this.#call.begun = true;
    this.#home(this.#call);
  }

  #end(): boolean {
    const first = this.#open && this.#call.stage === 'forwarded';
    this.#open = false;
    return first;
  }
}

function unavailable(cause?: Fault): Fault {
  return new Fault('shard_unavailable', 'no member is known to have the shard now', { retryAfterMs: 1000, cause });
}
