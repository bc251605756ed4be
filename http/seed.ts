/**
 * Puts a shop into an empty database. The catalogue is written in one transaction; the stock goes through the sku actors like any
 * other adjustment, under keys of its own, so that a seed that was killed half-way is finished by the next one and no unit
 * is put there twice.
 */
import { actorTypes } from '../actors/registry.ts';
import type { SkuReply } from '../actors/sku-protocol.ts';
import { type ActorSystem, createActorSystem } from '../runtime/system.ts';
import { SystemClock } from '../runtime/system-clock.ts';
import { openDatabase } from '../schema/database.ts';
import { type DemoData, demoData, generatedData, isCatalogueEmpty, seedCatalogue } from '../schema/demo.ts';
import { PgJournal } from '../schema/journal.ts';
import { joinAlone } from '../schema/members.ts';
import { migrate } from '../schema/migrate.ts';
import type { Config } from './config.ts';
import { LANES } from './storage.ts';

const STOCKING_WIDTH = 256;

type Actors = Pick<ActorSystem, 'ask'>;

/**
 * For `stampede seed`: joins as the only member (which refuses while another lives), seeds, leaves.
 * @param products how many generated products; null: the demo shop
 * @throws where the catalogue is not empty, or a member lives
 */
export async function seedDatabase(
  url: string,
  config: Config,
  products: number | null,
): Promise<{ products: number }> {
  const database = openDatabase({ url });
  try {
    await migrate(database);
    if (!(await isCatalogueEmpty(database.db))) throw new Error('the catalogue is not empty: nothing was changed');
    const clock = new SystemClock();
    const types = actorTypes();
    const membership = await joinAlone({
      database,
      nodeId: `${config.nodeId}-seed`.slice(-40),
      lanes: LANES,
      clock,
      eventVersions: Object.fromEntries(types.map((type) => [type.type, type.eventVersion])),
    });
    const journal = new PgJournal({ database, incarnation: membership.incarnation, lanes: LANES });
    const system = createActorSystem({ types, journal, clock, membership });
    try {
      await system.start();
      const data = products === null ? demoData() : generatedData(products);
      // Stock first: a catalogue that is there says that the seed is complete.
      await stock(system, data.stock);
      await seedCatalogue(database.db, data);
      return { products: data.products.length };
    } finally {
      await system.drain(10_000);
      await journal.close();
      await membership.leave();
    }
  } finally {
    await database.close();
  }
}

/** For the first start of an embedded database, on the node's own actors. */
export async function seedDemo(system: Actors, write: (data: DemoData) => Promise<void>): Promise<void> {
  const data = demoData();
  await stock(system, data.stock);
  await write(data);
}

/** Brings each sku's stock to the given units, if it was never adjusted; safe to repeat after a crash. */
async function stock(system: Actors, units: Readonly<Record<string, number>>): Promise<void> {
  const entries = Object.entries(units);
  let next = 0;
  const work = async () => {
    for (let entry = entries[next++]; entry !== undefined; entry = entries[next++]) {
      const [sku, delta] = entry;
      const ref = { type: 'sku', id: sku };
      const key = { hash: 'seed', fingerprint: 'seed' };
      const reply = (await system.ask(ref, { kind: 'adjust', delta, reason: 'seed' }, { key })) as SkuReply;
      if (!reply.ok) throw new Error(`stock of ${sku}: ${reply.code}`);
    }
  };
  await Promise.all(Array.from({ length: STOCKING_WIDTH }, work));
}
