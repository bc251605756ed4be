/**
 * Connections of clients to the nodes of a simulated world. A client waits for an answer only so long; it hears of a node that dies by its
 * connection; and a node that lives and was awake all the time owes it an answer: where none came, `unanswered` is told.
 */
import type { ActorRef } from '../runtime/actor.ts';
import { Fault } from '../runtime/fault.ts';
import type { AskOptions } from '../runtime/system.ts';
import type { SimNode } from './node.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

/** How a call ended for its client. `lost`: the connection broke, or no answer came in time. */
export type ClientOutcome =
  | { readonly kind: 'reply'; readonly value: unknown }
  | { readonly kind: 'fault'; readonly code: string; readonly retryAfterMs?: number }
  | { readonly kind: 'lost' };

export interface ClientAskOptions extends AskOptions {
  /** How long the client waits. Default 12,000. */
  readonly answerMs?: number;
}

export interface Client {
  readonly name: string;
  /** Never rejects. */
  ask(node: string, ref: ActorRef, command: unknown, options?: ClientAskOptions): Promise<ClientOutcome>;
  sleep(ms: number): Promise<void>;
  /** True time, in milliseconds since the world began. */
  now(): number;
}

interface OpenCall {
  readonly node: string;
  readonly end: (outcome: ClientOutcome) => void;
}

export interface CallersOptions {
  readonly scheduler: Scheduler;
  readonly nodes: ReadonlyMap<string, SimNode>;
  readonly random: (purpose: string) => Random;
  readonly unanswered: (node: string, ref: ActorRef) => void;
}

export class Callers {
  readonly #options: CallersOptions;
  readonly #calls = new Set<OpenCall>();

  constructor(options: CallersOptions) {
    this.#options = options;
  }

  /** Calls that are under way. */
  get open(): number {
    return this.#calls.size;
  }

  client(name: string): Client {
    const { scheduler } = this.#options;
    const random = this.#options.random(`client ${name}`);
    return {
      name,
      now: () => scheduler.now,
      sleep: (ms) => new Promise((resolve) => void scheduler.after(ms, null, resolve)),
      ask: (node, ref, command, options = {}) => this.#ask(random, node, ref, command, options),
    };
  }

  /** Clients of the node hear that their connections are gone. */
  hangUp(name: string): void {
    const random = this.#options.random('hang up');
    for (const call of this.#calls) {
      if (call.node !== name) continue;
      this.#options.scheduler.after(random.between(0.1, 5), null, () => call.end({ kind: 'lost' }));
    }
  }

  #ask(
    random: Random,
    nodeName: string,
    ref: ActorRef,
    command: unknown,
    { answerMs = 12_000, ...options }: ClientAskOptions,
  ): Promise<ClientOutcome> {
    const { scheduler, nodes, unanswered } = this.#options;
    const wayMs = (): number => random.between(0.1, 1);
    return new Promise((resolve) => {
      const call: OpenCall = {
        node: nodeName,
        end: (outcome) => {
          if (!this.#calls.delete(call)) return;
          timer.cancel();
          resolve(outcome);
        },
      };
      this.#calls.add(call);
      const process = nodes.get(nodeName)?.process ?? null;
      const startedAt = scheduler.now;
      const timer = scheduler.after(answerMs, null, () => {
        if (process?.state === 'running' && process.wokeAt < startedAt) unanswered(nodeName, ref);
        call.end({ kind: 'lost' });
      });
      if (process === null) {
        scheduler.after(wayMs(), null, () => call.end({ kind: 'lost' }));
        return;
      }
      scheduler.after(wayMs(), process, () => {
        const node = nodes.get(nodeName);
        if (node?.process !== process) return;
        const answer = (outcome: ClientOutcome): void => {
          if (process.acts()) scheduler.after(wayMs(), null, () => call.end(outcome));
        };
        node.ask(ref, command, options).then(
          (value) => answer({ kind: 'reply', value }),
          (error: unknown) => answer(faultOf(error)),
        );
      });
    });
  }
}

function faultOf(error: unknown): ClientOutcome {
  if (!(error instanceof Fault)) return { kind: 'fault', code: `unexpected: ${String(error)}` };
  const { code, retryAfterMs } = error;
  return { kind: 'fault', code, ...(retryAfterMs === undefined ? undefined : { retryAfterMs }) };
}
