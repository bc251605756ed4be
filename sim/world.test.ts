/** The simulated world by itself: it comes up, it is the same each time, and it is at rest again after whatever a plan has done to it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBook } from '../workers/price-book.ts';
import { drawPlan, FAULT_KINDS, type FaultKind } from './faults.ts';
import { type Recorder, World } from './world.ts';

const SKUS = ['sku-1', 'sku-2', 'sku-3', 'sku-4', 'sku-5', 'sku-6'];
const book = createBook({
  version: 1,
  store: { name: 'test', defaultCurrency: 'USD', currencies: ['USD'], origin: { country: 'US' } } as never,
  products: {},
});

class Log implements Recorder {
  readonly lines: string[] = [];
  readonly #now: () => number;
  constructor(now: () => number) {
    this.#now = now;
  }
  commit(incarnation: string, batch: { readonly events: readonly { id: string; seq: number }[] }): void {
    this.note(incarnation, 'commit', { events: batch.events.map(({ id, seq }) => `${id}@${seq}`) });
  }
  note(who: string, what: string, detail: object = {}): void {
    this.lines.push(`${this.#now()} ${who} ${what} ${JSON.stringify(detail)}`);
  }
}

interface Ran {
  readonly lines: readonly string[];
  readonly quiet: boolean;
  readonly world: World;
  readonly acknowledged: number;
}

/** Operators who add and take stock while the plan lasts. */
async function ran(seed: number, ms: number, kinds?: readonly FaultKind[], count?: number): Promise<Ran> {
  let log: Log | undefined;
  const plan = drawPlan({
    seed,
    nodes: World.names(3),
    endMs: ms,
    ...(kinds === undefined ? undefined : { kinds }),
    ...(count === undefined ? undefined : { count }),
  });
  const world = new World({
    seed,
    plan,
    book: () => book,
    recorder: (made) => {
      log = new Log(() => made.scheduler.now);
      return log;
    },
  });
  await world.open();
  let acknowledged = 0;
  let going = 0;
  const operator = async (name: string): Promise<void> => {
    going++;
    const client = world.client(name);
    const random = world.random(name);
    const end = client.now() + ms;
    while (client.now() < end) {
      const node = random.pick(world.nodeNames);
      const command = { kind: 'adjust', delta: random.int(1, 5), reason: 'test' };
      const outcome = await client.ask(node, { type: 'sku', id: random.pick(SKUS) }, command);
      log?.note(name, outcome.kind, outcome);
      if (outcome.kind === 'reply') acknowledged++;
      await client.sleep(random.delay(80));
    }
    going--;
  };
  for (let i = 0; i < 4; i++) void operator(`operator-${i}`);
  await world.run(ms);
  world.heal();
  const quiet = await world.rest(60_000, () => going === 0);
  const result = { lines: log?.lines ?? [], quiet, world, acknowledged };
  world.close();
  return result;
}

test('a seed gives the same history each time, and another seed another one', async () => {
  const [one, again, other] = [await ran(7, 6_000), await ran(7, 6_000), await ran(8, 6_000)];
  assert.ok(one.lines.length > 200, `${one.lines.length} lines`);
  assert.deepEqual(again.lines, one.lines);
  assert.notDeepEqual(other.lines, one.lines);
});

test('without faults every call is answered', async () => {
  const { quiet, acknowledged, lines } = await ran(1, 5_000, undefined, 0);
  assert.ok(quiet);
  assert.ok(acknowledged > 100, `${acknowledged} answers`);
  assert.equal(lines.filter((line) => / (lost|fault) /.test(line)).length, 0);
});

for (const kind of Object.keys(FAULT_KINDS) as FaultKind[]) {
  test(`after faults of the kind ${kind} the world comes to rest`, async () => {
    const { quiet, world, acknowledged } = await ran(11, 6_000, [kind], 3);
    assert.deepEqual(quiet ? [] : world.unrest(), []);
    assert.ok(acknowledged > 0);
  });
}
