import { memberStoreConformance } from '../runtime/member-store-conformance.ts';
import { membershipName } from './database.ts';
import { bench } from './fixture.ts';
import { SimJournal } from './journal.ts';
import { SimMemberStore } from './member-store.ts';

memberStoreConformance('simulated', async () => {
  const world = bench();
  const { database, process } = world;
  const store = (incarnation: string): SimMemberStore =>
    new SimMemberStore({
      database,
      sender: { process, node: 'node', incarnation: membershipName(incarnation) },
      lanes: 1,
      leaseMs: 20_000,
    });
  return {
    store,
    renew: async (incarnation) => (await store(incarnation).renew(incarnation)) !== null,
    journal: (incarnation) =>
      new SimJournal({
        database,
        sender: { process, node: 'node', incarnation },
        lanes: 1,
        committed: () => {},
        refuses: () => false,
      }),
    holdFence: async (incarnation) => {
      let free = (): void => {};
      const freed = new Promise<void>((resolve) => {
        free = resolve;
      });
      database.hold(`fence ${incarnation}/0`, freed);
      return async () => free();
    },
    cleanup: async () => world.end(),
  };
});
