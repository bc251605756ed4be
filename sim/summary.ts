/**
 * What many histories had in them, for people: so that a run that found nothing can be told from one in which nothing happened.
 */
import type { OrderState } from '../actors/order-state.ts';
import type { RunResult } from './run.ts';

/** A history of fewer events counts for little. */
const LONG_FROM = 1_000;

export class Summary {
  readonly #startedAt = performance.now();
  #histories = 0;
  #long = 0;
  #events = 0;
  #calls = 0;
  #commits = 0;
  #simulatedMs = 0;
  readonly #failed = new Map<string, number>();
  readonly #faults = new Map<string, number>();
  readonly #ends = new Map<string, number>();
  readonly #outcomes = new Map<string, number>();

  /** Real ones, since it began. */
  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  add({ violations, plan, history, journal, events, simulatedMs }: RunResult): void {
    this.#histories++;
    if (events >= LONG_FROM) this.#long++;
    this.#events += events;
    this.#calls += history.calls.length;
    this.#commits += history.commits.length;
    this.#simulatedMs += simulatedMs;
    if (violations[0] !== undefined) count(this.#failed, violations[0].oracle);
    for (const { kind } of plan) count(this.#faults, kind);
    for (const { phase, failure } of journal.states<OrderState>('order')) {
      count(this.#ends, failure === null ? phase : `${phase} (${failure.code})`);
    }
    for (const { outcome } of history.calls) {
      if (outcome?.kind === 'reply') count(this.#outcomes, 'answered');
      else count(this.#outcomes, outcome?.kind === 'fault' ? outcome.code : 'no answer');
    }
  }

  lines(): string[] {
    const { seconds } = this;
    const hours = this.#simulatedMs / 3_600_000;
    const rate = (n: number): string => Math.round(n / seconds).toLocaleString('en');
    return [
      `${this.#histories} histories in ${seconds.toFixed(1)} s (${rate(this.#histories * 60)} a minute), ${total(this.#failed)} failed${list(this.#failed, ': ')}`,
      `${this.#long} of ${LONG_FROM.toLocaleString('en')} events or more (${rate(this.#long * 60)} a minute); ` +
        `${this.#events.toLocaleString('en')} events in all (${rate(this.#events)} a second), ${this.#commits.toLocaleString('en')} commits`,
      `${hours.toFixed(2)} simulated hours, ${(this.#simulatedMs / 1000 / seconds).toFixed(1)} simulated seconds in each real one`,
      `${this.#calls.toLocaleString('en')} calls${list(this.#outcomes, ': ')}`,
      `${total(this.#faults).toLocaleString('en')} faults${list(this.#faults, ': ')}`,
      `orders${list(this.#ends, ': ')}`,
    ];
  }
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, one) => sum + one, 0);
}

/** The most frequent first. */
function list(counts: ReadonlyMap<string, number>, lead: string): string {
  if (counts.size === 0) return '';
  const sorted = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  return lead + sorted.map(([name, n]) => `${name} ${n}`).join(', ');
}
