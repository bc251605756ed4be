/**
 * What an audit line says of a change: of both documents only what differs. A list is told by those of its entries that the
 * other one has not, so that a price changed in a list of thousands is two entries and not two lists.
 */
export interface Difference {
  /** null: there was none. */
  readonly before: unknown;
  /** null: it was removed. */
  readonly after: unknown;
}

export function difference(before: unknown, after: unknown): Difference {
  if (!isRecord(before) || !isRecord(after)) return { before, after };
  const was: Record<string, unknown> = {};
  const is: Record<string, unknown> = {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [old, now] = [before[name], after[name]];
    if (canonical(old) === canonical(now)) continue;
    const lists = Array.isArray(old) && Array.isArray(now);
    if (old !== undefined) was[name] = lists ? missingIn(old, now) : old;
    if (now !== undefined) is[name] = lists ? missingIn(now, old) : now;
  }
  return { before: was, after: is };
}

/** Entries of the one list that the other has not. Both empty: only their order differs, and the whole list is told. */
function missingIn(list: readonly unknown[], other: readonly unknown[]): readonly unknown[] {
  const there = new Set(other.map(canonical));
  const missing = list.filter((entry) => !there.has(canonical(entry)));
  return missing.length === 0 && list.length === other.length ? list : missing;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The same text for the same value, whatever the order of the fields: PostgreSQL keeps none. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_name, part: unknown) =>
      isRecord(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part,
    ) ?? ''
  );
}
