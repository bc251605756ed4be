/**
 * Decides whether recorded calls of one object can be put in an order in which each took effect at one moment between its start and its
 * end, and each heard what a sequential object would have said (Herlihy and Wing, 1990). The search is Wing and Gong's (1993) with
 * Lowe's memory of configurations (2017): whichever set of calls was already placed, leading to whichever state, is tried once.
 *
 * A call that was never answered may have taken effect at any time after its start, or never. A specification may have several next
 * states for one call, and steps of its own (`drift`) that no recorded call made.
 */

export interface Operation<Input, Output> {
  readonly input: Input;
  /** null: nobody knows what it did, or whether. */
  readonly output: Output | null;
  readonly start: number;
  /** Where there is no output: Infinity. */
  readonly end: number;
}

export interface Specification<State, Input, Output> {
  readonly initial: State;
  /** The states that the object may be in after the call, given what it answered (null: any answer); none where it could not answer that. */
  step(state: State, input: Input, output: Output | null): readonly State[];
  /** Equal for equal states, and only for them. */
  key(state: State): string;
}

export type Verdict<Input, Output> =
  | { readonly ok: true }
  /** `stuck`: the call that has to come next in the longest order found, and cannot. `order`: that order. */
  | {
      readonly ok: false;
      readonly stuck: Operation<Input, Output>;
      readonly order: readonly Operation<Input, Output>[];
    }
  /** The search was given up after `configurations`. */
  | { readonly ok: 'undecided'; readonly configurations: number };

interface Frame<State> {
  readonly state: State;
  /** Place of the operation that led here; -1 at the root. */
  readonly placed: number;
  /** Next steps to try, made when the frame is first looked at. */
  next: { readonly index: number; readonly state: State }[] | null;
}

/** @param configurationsMax how many pairs of (calls placed, state) are tried before the search is given up. Default 100,000. */
export function checkLinearizable<State, Input, Output>(
  specification: Specification<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  configurationsMax = 100_000,
): Verdict<Input, Output> {
  const ops = [...operations].sort((a, b) => a.start - b.start);
  const placed = new Array<boolean>(ops.length).fill(false);
  let answeredLeft = ops.filter((op) => op.output !== null).length;
  const seen = new Set<string>();
  const stack: Frame<State>[] = [{ state: specification.initial, placed: -1, next: null }];
  let best: { order: readonly number[]; stuck: number } | null = null;

  const choices = (state: State): { index: number; state: State }[] => {
    // An operation may come next if it began before every unplaced one that was answered had ended.
    let bound = Number.POSITIVE_INFINITY;
    const found: { index: number; state: State }[] = [];
    for (let index = 0; index < ops.length; index++) {
      const op = ops[index];
      if (op === undefined || placed[index]) continue;
      if (op.start > bound) break;
      if (op.output !== null && op.end < bound) bound = op.end;
    }
    for (let index = ops.length - 1; index >= 0; index--) {
      const op = ops[index];
      if (op === undefined || placed[index] || op.start > bound) continue;
      for (const after of specification.step(state, op.input, op.output)) found.push({ index, state: after });
    }
    // Taken from the end: what was answered, earliest start first; a guess about what was not, only after that.
    return found.sort((a, b) => rank(ops[a.index]) - rank(ops[b.index]));
  };

  for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
    if (answeredLeft === 0) return { ok: true };
    frame.next ??= choices(frame.state);
    const step = frame.next.pop();
    if (step === undefined) {
      if (best === null || stack.length - 1 > best.order.length) {
        best = { order: stack.slice(1).map((one) => one.placed), stuck: firstDue(ops, placed) };
      }
      stack.pop();
      if (frame.placed >= 0) {
        placed[frame.placed] = false;
        if (ops[frame.placed]?.output !== null) answeredLeft++;
      }
      continue;
    }
    placed[step.index] = true;
    const name = `${bits(placed)} ${specification.key(step.state)}`;
    if (seen.has(name)) {
      placed[step.index] = false;
      continue;
    }
    if (seen.size >= configurationsMax) return { ok: 'undecided', configurations: seen.size };
    seen.add(name);
    if (ops[step.index]?.output !== null) answeredLeft--;
    stack.push({ state: step.state, placed: step.index, next: null });
  }
  const stuck = ops[best?.stuck ?? 0];
  if (stuck === undefined) return { ok: true };
  return { ok: false, stuck, order: (best?.order ?? []).flatMap((index) => ops[index] ?? []) };
}

function rank(op: Operation<unknown, unknown> | undefined): number {
  if (op === undefined) return 0;
  return op.output === null ? -1e15 - op.start : -op.start;
}

/** The unplaced answered operation that ended first. */
function firstDue(ops: readonly Operation<unknown, unknown>[], placed: readonly boolean[]): number {
  let first = -1;
  for (const [index, op] of ops.entries()) {
    if (placed[index] || op.output === null) continue;
    if (first < 0 || op.end < (ops[first]?.end ?? 0)) first = index;
  }
  return first;
}

/** Up to the first unplaced one all are placed: that number, and the rest as bits. */
function bits(placed: readonly boolean[]): string {
  let first = 0;
  while (first < placed.length && placed[first]) first++;
  let last = placed.length - 1;
  while (last > first && !placed[last]) last--;
  let text = `${first}:`;
  for (let index = first + 1; index <= last; index++) text += placed[index] ? '1' : '0';
  return text;
}
