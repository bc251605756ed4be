/**
 * Who may be a member beside whom, and in which version of its events a type may be written. A start that would split the cluster is
 * refused with one line; two of the same node, or a member that nothing connects with the others, are such a split too. Hash and number of
 * shards are not compared here: they are the database's own (`schema/migrate.ts`).
 */
import type { Candidate, Conflict, MemberRow } from './member-store.ts';

/** Those of the living members beside whom the candidate may not start. */
export function conflictsOf(candidate: Candidate, living: readonly MemberRow[]): Conflict[] {
  const conflicts: Conflict[] = [];
  for (const member of living) {
    const reason = conflict(candidate, member);
    if (reason !== null) conflicts.push({ member, reason });
  }
  return conflicts;
}

function conflict(candidate: Candidate, member: MemberRow): string | null {
  const other = `another node (${member.incarnation}) is alive on this database`;
  if (!candidate.bus) return `${other}, and without a bus two cannot share it: set REDIS_URL for both`;
  if (!member.bus) return `${other} and has no bus: start it with REDIS_URL too`;
  if (member.nodeId === candidate.nodeId) return `${other} under the same node id: give each its own NODE_ID`;
  const [ours, theirs] = [candidate.identity, member.identity];
  if (ours === null || theirs === null) return null;
  if (ours.dataKey !== theirs.dataKey) return `${other} with another DATA_KEY`;
  if (!theirs.verifying.includes(ours.signing)) {
    return `${other} and does not know the TOKEN_SECRET that this one signs with: add it there first, behind the old one`;
  }
  if (!ours.verifying.includes(theirs.signing)) {
    return `${other} and signs with a TOKEN_SECRET that this one does not have: keep it here, behind the new one`;
  }
  return null;
}

export type Versions = Readonly<Record<string, number>>;

/** For each type of `own`, the newest version that all the members read. One that says nothing of its versions is not asked. */
export function commonVersions(own: Versions, members: readonly Pick<MemberRow, 'eventVersions'>[]): Versions {
  const common: Record<string, number> = { ...own };
  for (const { eventVersions } of members) {
    if (Object.keys(eventVersions).length === 0) continue;
    for (const type of Object.keys(common)) common[type] = Math.min(common[type] ?? 0, eventVersions[type] ?? 0);
  }
  return common;
}

/** One line where events may have been written that `own` cannot read; null where all is well. */
export function unreadable(own: Versions, written: Versions): string | null {
  if (Object.keys(own).length === 0) return null;
  for (const [type, version] of Object.entries(written)) {
    const newest = own[type] ?? 0;
    if (version > newest) {
      return `the journal may hold events of ${type} in version ${version}, and this version of Stampede reads up to ${newest}`;
    }
  }
  return null;
}
