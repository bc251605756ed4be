/**
 * The output gate's last step: whatever is said to anybody is said here. A call comes to `open` when all it rests on is
 * durable; it leaves with its value only where this member may still answer, and only once its rendering is done too.
 */

import { type Call, OpenCalls } from './call.ts';
import type { Clock } from './clock.ts';
import { Fault } from './fault.ts';
import type { Limits } from './limits.ts';
import type { Membership } from './members.ts';
import type { Stats } from './metrics.ts';

export interface GateOptions {
  readonly clock: Clock;
  readonly limits: Limits;
  readonly membership: Membership;
  readonly stats: Stats;
  /** Looks a recorded answer up and answers the call. */
  readonly replay: (call: Call) => void;
  /** The last open call of a caller was answered. */
  readonly onQuiet: () => void;
}

export class Gate {
  readonly calls = new OpenCalls();
  /** Told of each call that has been answered, while somebody waits for that (`handoff.ts`). */
  onAnswered: (() => void) | null = null;
  readonly #options: GateOptions;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** Everything that the call rests on is durable. */
  open(call: Call): void {
    if (call.stage === 'answered') return;
    if (call.replay) {
      call.stage = 'gated';
      this.#options.replay(call);
    } else if (call.rendering === 'running') {
      call.stage = 'joining';
    } else if (call.rendering === 'failed') {
      this.fail(call, renderFault(call.value));
    } else {
      this.answer(call, call.value);
    }
  }

  /** The unkeyed answer is being rendered beside the commit; it leaves when both are done. */
  join(call: Call, rendering: Promise<{ readonly value: unknown }>): void {
    call.rendering = 'running';
    rendering.then(
      (rendered) => this.#rendered(call, 'none', rendered.value),
      (error: unknown) => this.#rendered(call, 'failed', error),
    );
  }

  #rendered(call: Call, rendering: 'none' | 'failed', value: unknown): void {
    call.rendering = rendering;
    call.value = value;
    if (call.stage === 'joining') this.open(call);
  }

  answer(call: Call, value: unknown): void {
    if (call.stage === 'answered') return;
    // Asked again here: the lease may have ended while the commit was on its way.
    if (call.outside && !this.#options.membership.mayAnswer()) {
      this.fail(call, new Fault('shard_unavailable', 'this node may not answer now'));
      return;
    }
    this.#close(call);
    call.resolve(value);
  }

  /** The answer of the member that has the shard: it was under that member's lease. */
  relay(call: Call, value: unknown): void {
    if (call.stage === 'answered') return;
    this.#close(call);
    call.resolve(value);
  }

  fail(call: Call, fault: Fault): void {
    if (call.stage === 'answered') return;
    const told = call.begun && claimsNoEffect(fault) ? openFault(fault) : fault;
    this.#close(call);
    this.#options.stats[`fault_${told.code}`]++;
    call.reject(told);
  }

  /** Ends a call of the runtime's own that is repeated by itself; no fault is counted. */
  drop(call: Call, fault: Fault): void {
    if (call.stage === 'answered') return;
    this.#close(call);
    call.reject(fault);
  }

  /** Tells each caller whose time is over. What was decided may still become durable, so it is called unknown. */
  sweep(): void {
    const { clock, limits } = this.#options;
    for (const call of this.calls.overdue(clock.monotonic(), limits.answerMarginMs))
      this.fail(call, overdueFault(call));
  }

  #close(call: Call): void {
    call.stage = 'answered';
    call.leave?.();
    call.leave = null;
    this.calls.remove(call);
    if (this.calls.callers === 0) this.#options.onQuiet();
    if (this.onAnswered !== null) this.onAnswered();
  }
}

function claimsNoEffect({ code, retryable }: Fault): boolean {
  if (code === 'rejected') return true;
  return retryable && code !== 'outcome_unknown' && code !== 'shard_unavailable' && code !== 'moved';
}

function openFault(cause: Fault): Fault {
  return new Fault('outcome_unknown', 'begun, and not known to have ended', { cause });
}

export function renderFault(cause: unknown): Fault {
  return cause instanceof Fault
    ? cause
    : new Fault('pricing_unavailable', 'the answer could not be computed', { cause });
}

function overdueFault(call: Call): Fault {
  switch (call.stage) {
    case 'rendering':
      return new Fault('outcome_unknown', 'decided, but its answer was not there before the deadline');
    case 'gated':
      return call.wrote
        ? new Fault('outcome_unknown', 'decided, but not known to be durable before the deadline')
        : new Fault('database_unavailable', 'what the answer rests on was not durable before the deadline');
    case 'forwarded':
      return new Fault('outcome_unknown', 'the member that has the shard did not answer before the deadline');
    case 'parked':
      return new Fault('outcome_unknown', 'the outcome was not known before the deadline');
    case 'joining':
      return call.wrote
        ? new Fault('outcome_unknown', 'the answer was not computed before the deadline')
        : new Fault('pricing_unavailable', 'the answer was not computed before the deadline');
    case 'waiting':
    case 'answered':
      return new Fault('deadline_exceeded', 'not decided before the deadline');
  }
}
