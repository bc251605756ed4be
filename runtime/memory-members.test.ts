import { memberStoreConformance } from './member-store-conformance.ts';
import { MemberTables, MemoryMembers } from './memory-members.ts';

memberStoreConformance('in memory', async () => {
  const tables = new MemberTables();
  const store = new MemoryMembers({ tables });
  return {
    store,
    renew: (incarnation) => store.renew(incarnation),
    mayWrite: async (incarnation) => tables.fences.has(incarnation),
    cleanup: async () => {},
  };
});
