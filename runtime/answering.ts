/**
 * Turns the replies of a decision into answers, while the state is the one that they speak of. An answer that is to be
 * recorded must be known before its append, so its turn waits; all others are rendered beside the commit and joined at
 * the gate.
 */
import type { KeyRef, Rendered, Settlement } from './actor.ts';
import type { Call } from './call.ts';
import type { Cell } from './cell.ts';
import type { Clock } from './clock.ts';
import { encode } from './codec.ts';
import type { Draft, Recording } from './entry.ts';
import type { Gate } from './gate.ts';
import type { Limits } from './limits.ts';

export interface AnsweringOptions {
  readonly clock: Clock;
  readonly limits: Limits;
  readonly gate: Gate;
  /** A draft that had to wait has all its answers. */
  readonly ready: (draft: Draft) => void;
  /** One of them cannot be had. */
  readonly failed: (draft: Draft, error: unknown) => void;
}

const NONE: readonly never[] = [];

/** A draft that waits for its keyed answers. */
interface Waiting {
  readonly draft: Draft;
  readonly since: number;
  over: boolean;
}

export class Answering {
  readonly #options: AnsweringOptions;
  readonly #waiting = new Set<Waiting>();

  constructor(options: AnsweringOptions) {
    this.#options = options;
  }

  /** Fails keyed writes whose answers are not rendered in time. */
  sweep(): void {
    const before = this.#options.clock.monotonic() - this.#options.limits.renderTimeoutMs;
    for (const waiting of this.#waiting) {
      if (waiting.since < before) this.#fail(waiting, new Error('not rendered in time'));
    }
  }

  /** Nothing that this decision answers is recorded, so that its answer may be made when its entry is on the lane already. */
  isPlain({ call, decision }: Draft): boolean {
    return decision.reply !== undefined && call.key === undefined && (decision.settle ?? NONE).length === 0;
  }

  /**
   * Renders what this decision answers.
   * @returns false where the draft must wait: `ready` or `failed` is told of it later.
   */
  answer(draft: Draft): boolean {
    const { cell, call, decision } = draft;
    const settlements = decision.settle ?? NONE;
    if (this.isPlain(draft)) {
      this.#renderBeside(draft, call, decision.reply, cell.seq);
      return true;
    }
    const hashes: string[] = [];
    if (call.key !== undefined && decision.reply !== undefined) hashes.push(call.key.hash);
    for (const { key } of settlements)
      if (key !== undefined && !this.#known(cell, key) && !hashes.includes(key.hash)) hashes.push(key.hash);
    const seq = draft.base + Math.max(draft.events.length, hashes.length);

    if (decision.reply !== undefined) {
      if (call.key !== undefined) this.#record(draft, call.key, decision.reply, [call], seq, call.render);
      else this.#renderBeside(draft, call, decision.reply, seq);
    }
    for (const settlement of settlements) this.#settle(draft, settlement, seq);
    return draft.recordings.every((recording) => recording.rendered !== null);
  }

  #known(cell: Cell, key: KeyRef): boolean {
    return cell.keys?.has(key.hash) === true;
  }

  #settle(draft: Draft, settlement: Settlement<unknown>, seq: number): void {
    const { cell } = draft;
    const calls = cell.takeParked(settlement.token);
    draft.settled.push(...calls);
    const { key, reply } = settlement;
    const taken = key !== undefined && draft.recordings.some((recording) => recording.key.hash === key.hash);
    if (key === undefined || taken || this.#known(cell, key)) {
      for (const call of calls) this.#renderBeside(draft, call, reply, seq);
      return;
    }
    this.#record(draft, key, reply, calls, seq, true);
  }

  #renderBeside(draft: Draft, call: Call, reply: unknown, seq: number): void {
    const { responder } = draft.cell.kind;
    if (!call.render || responder === undefined) {
      call.value = reply;
      return;
    }
    const { cell, now } = draft;
    try {
      const rendered = responder.render(cell, cell.state, reply, { seq, now, keyed: false });
      if (rendered instanceof Promise) this.#options.gate.join(call, rendered);
      else call.value = rendered.value;
    } catch (error) {
      call.rendering = 'failed';
      call.value = error;
    }
  }

  /** Where the type has a responder and `render` is asked for, its bytes are recorded; else the bare reply. */
  #record(draft: Draft, key: KeyRef, reply: unknown, calls: readonly Call[], seq: number, render: boolean): void {
    const { cell, now } = draft;
    const { responder } = cell.kind;
    const recording: Recording = { key, reply, calls, rendered: null };
    draft.recordings.push(recording);
    if (!render || responder === undefined) {
      recording.rendered = { value: reply, recorded: encode(reply) };
      return;
    }
    let rendered: Rendered | Promise<Rendered>;
    try {
      rendered = responder.render(cell, cell.state, reply, { seq, now, keyed: true });
    } catch (error) {
      rendered = Promise.reject(error);
    }
    if (rendered instanceof Promise) this.#await(draft, recording, rendered);
    else recording.rendered = rendered;
  }

  #await(draft: Draft, recording: Recording, rendering: Promise<Rendered>): void {
    const waiting: Waiting = { draft, since: this.#options.clock.monotonic(), over: false };
    this.#waiting.add(waiting);
    rendering.then(
      (rendered) => {
        if (waiting.over) return;
        waiting.over = true;
        this.#waiting.delete(waiting);
        recording.rendered = rendered;
        if (draft.recordings.every((other) => other.rendered !== null)) this.#options.ready(draft);
      },
      (error: unknown) => this.#fail(waiting, error),
    );
  }

  #fail(waiting: Waiting, error: unknown): void {
    if (waiting.over) return;
    for (const other of this.#waiting) {
      if (other.draft !== waiting.draft) continue;
      other.over = true;
      this.#waiting.delete(other);
    }
    this.#options.failed(waiting.draft, error);
  }
}
