import { memberStoreConformance } from './member-store-conformance.ts';
import { MemberTables, MemoryMembers } from './memory-members.ts';

memberStoreConformance('in memory', async () => {
  const tables = new MemberTables();
  const members = new MemoryMembers({ tables });
  return {
    store: () => members,
    renew: (incarnation) => members.renew(incarnation),
    journal: null,
    holdFence: null,
    cleanup: async () => {},
  };
});
