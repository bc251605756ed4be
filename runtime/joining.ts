/**
 * How a candidate becomes a member. It is admitted beside living members that it fits (`admission.ts`). One that it does not fit, it watches:
 * if that renews, the start is refused with one line; if it stands still for its lease and a margin it was dead, and is taken over
 * with the admission. So a node that was killed and is started again waits for its own predecessor's lease at most, and one without a bus
 * never starts beside a living member.
 */
import type { Clock } from './clock.ts';
import type { Candidate, Conflict, MemberStore } from './member-store.ts';
import { Refusal } from './refusal.ts';
import { Watch, type Watched } from './watch.ts';

/** How often a member that is in the way is looked at, as a share of the shortest lease. */
const WATCH_SHARE = 10;

/**
 * Resolves when the candidate is a member, with the version in which each type may be written.
 * @param takeAtOnce something else proves that whoever lives by the rows is dead.
 * @throws one line where a living member is in the way, or the journal cannot be read.
 */
export async function admitted(
  store: MemberStore,
  candidate: Candidate,
  takeAtOnce: boolean,
  clock: Clock,
): Promise<Readonly<Record<string, number>>> {
  let admission = await store.admit(candidate, takeAtOnce ? 'all' : []);
  while (!admission.ok) {
    const dead = await standStill(store, admission.conflicts, candidate.leaseMs, clock);
    admission = await store.admit(candidate, dead);
  }
  return admission.writes;
}

/** Resolves when each of those in the way has gone, or has stood still for long enough to be taken over; rejects as soon as one renews. */
async function standStill(
  store: MemberStore,
  conflicts: readonly Conflict[],
  leaseMs: number,
  clock: Clock,
): Promise<Watched[]> {
  const inTheWay = new Map(conflicts.map((conflict) => [conflict.member.incarnation, conflict]));
  const periodMs = Math.min(leaseMs, ...conflicts.map(({ member }) => member.leaseMs)) / WATCH_SHARE;
  const watch = new Watch(leaseMs);
  const start = clock.monotonic();
  // From after the admission was refused: the renewals that it saw were sent before.
  watch.look(
    conflicts.map(({ member }) => member),
    start,
    start,
    null,
  );
  for (;;) {
    await new Promise<void>((resolve) => void clock.setTimeout(resolve, periodMs));
    const sentAt = clock.monotonic();
    const there = (await store.look(0)).members.filter((member) => inTheWay.has(member.incarnation));
    for (const { incarnation, renewals } of there) {
      const conflict = inTheWay.get(incarnation);
      if (conflict !== undefined && conflict.member.renewals !== renewals) throw new Refusal(conflict.reason);
    }
    watch.look(there, sentAt, clock.monotonic(), null);
    const overdue = watch.overdue();
    if (overdue.length === there.length) return overdue;
  }
}
