/**
 * Commands on a few actors while everything goes wrong that may: appends are refused, lost before or after their commit, or
 * find no database; decisions throw; answers fail to render; the process dies. Each run is one seed. What callers were told
 * is then compared with what is stored.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import type { Responder } from './actor.ts';
import { Fault } from './fault.ts';
import { inWorld, keyOf, type ProbeReply, type ProbeState, settle, type World } from './fixture.ts';
import { AppendError } from './journal.ts';

type Trouble = 'none' | 'refused' | 'lost before' | 'lost after' | 'away' | 'slow';
type Step =
  | { readonly do: 'add'; readonly to: number; readonly key: number | null; readonly render: boolean }
  | { readonly do: 'when_open' | 'open' | 'get' | 'throw' | 'poison'; readonly to: number }
  | { readonly do: 'settle' | 'crash' | 'evict' };

const ACTORS = 3;
/** Codes that leave open whether the command took effect; all others say that it did not. */
const OPEN_CODES: readonly string[] = ['outcome_unknown', 'pricing_unavailable'];

const to = fc.nat(ACTORS - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('add' as const),
      to,
      key: fc.option(fc.nat(3), { nil: null }),
      render: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('get' as const, 'when_open' as const), to }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('open' as const, 'throw' as const, 'poison' as const), to }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('settle' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('crash' as const, 'evict' as const) }) },
);
const trouble = fc.constantFrom<Trouble>('none', 'none', 'refused', 'lost before', 'lost after', 'away', 'slow');

/** What one command was told: its answer's operations, or a code. */
interface Told {
  readonly actor: string;
  readonly op: string;
  readonly keyed: boolean;
  answer: readonly string[] | string;
}

async function run(
  steps: readonly Step[],
  troubles: readonly Trouble[],
  renderings: readonly boolean[],
): Promise<void> {
  let rendered = 0;
  const responder: Responder<ProbeState, ProbeReply> = {
    async render(_ref, state, _reply, ctx) {
      const value = { ops: [...state.ops] };
      const good = renderings[rendered++ % renderings.length] ?? true;
      await settle(rendered % 3);
      if (!good) throw new Error('the pool is down');
      return ctx.keyed ? { value, recorded: Buffer.from(JSON.stringify(value)) } : { value };
    },
    replay: (_ref, recorded) => JSON.parse(Buffer.from(recorded).toString()),
  };
  const limits = { laneRetryMinMs: 1, laneRetryMaxMs: 2, askTimeoutMs: 10_000, batchRows: 5, snapshotBytes: 60 };
  await inWorld({ responder, lanes: 2, limits }, async (world) => {
    let appends = 0;
    const intercept = (): void =>
      world.intercept(async (_batch, commit) => {
        switch (troubles[appends++ % (troubles.length + 7)] ?? 'none') {
          case 'none':
            return commit();
          case 'refused':
            throw new AppendError('refused', 'bad data');
          case 'lost before':
            throw new AppendError('unknown', 'cut');
          case 'lost after':
            commit();
            throw new AppendError('unknown', 'cut');
          case 'away':
            throw new AppendError('unavailable', 'starting');
          case 'slow':
            await settle(4);
            return commit();
        }
      });
    intercept();
    const told: Told[] = [];
    const asked: Promise<void>[] = [];
    let number = 0;
    const ask = (
      at: number,
      op: string,
      key: number | null,
      render: boolean,
      kind: 'add' | 'when_open' | 'get',
    ): void => {
      const actor = `a${at}`;
      const options = { render, ...(key === null ? {} : { key: keyOf(`k${key}`) }) };
      const entry: Told = { actor, op, keyed: key !== null, answer: [] };
      told.push(entry);
      asked.push(
        world.ask(actor, kind === 'get' ? { kind } : { kind, op }, options).then(
          (reply) => {
            entry.answer = reply.ops;
          },
          (error: unknown) => {
            assert.ok(error instanceof Fault, String(error));
            entry.answer = error.code;
          },
        ),
      );
    };
    for (const one of steps) {
      switch (one.do) {
        case 'add':
          // The same key always comes with the same operation.
          ask(one.to, one.key === null ? `op${number++}` : `key${one.key}`, one.key, one.render, 'add');
          break;
        case 'when_open':
          ask(one.to, `op${number++}`, null, false, 'when_open');
          break;
        case 'get':
          ask(one.to, 'read', null, false, 'get');
          break;
        case 'open':
        case 'poison':
          asked.push(world.ask(`a${one.to}`, { kind: one.do }).then(ignore, ignore));
          break;
        case 'throw':
          asked.push(world.ask(`a${one.to}`, { kind: 'throw', where: 'apply' }).then(ignore, ignore));
          break;
        case 'settle':
          await settle(3);
          break;
        case 'evict':
          world.system.evictAll();
          break;
        case 'crash':
          // Whoever takes over fences the dead first: what is in flight does not commit behind the back of the next.
          world.journal.fence();
          await world.crash();
          intercept();
      }
    }
    // Whoever still waits to be let in is; then nothing goes wrong any more.
    appends = troubles.length;
    for (let at = 0; at < ACTORS; at++) asked.push(world.ask(`a${at}`, { kind: 'open' }).then(ignore, ignore));
    await settle(5);
    world.intercept(undefined);
    for (let at = 0; at < ACTORS; at++) await world.ask(`a${at}`, { kind: 'open' }).catch(ignore);
    await Promise.all(asked);
    await world.crash();
    for (let at = 0; at < ACTORS; at++) await compare(world, `a${at}`, told, troubles.includes('refused'));
  });
}

async function compare(world: World, actor: string, told: readonly Told[], someRefused: boolean): Promise<void> {
  const { ops } = await world.ask(actor, { kind: 'get' });
  const { seqs } = world.stored(actor);
  assert.deepEqual(
    seqs,
    seqs.map((_, index) => index + 1),
  );
  for (const { op, keyed, answer } of told.filter((one) => one.actor === actor)) {
    const count = ops.filter((stored) => stored === op).length;
    // A gap, or a second event of one sequence, would show as a refusal by the journal.
    if (!someRefused) assert.notEqual(answer, 'rejected', `${op} was appended out of order`);
    assert.ok(count <= 1, `${op} took effect ${count} times`);
    if (Array.isArray(answer)) {
      assert.equal(count, op === 'read' ? 0 : 1, `${op} was acknowledged and is lost`);
      // What an answer showed had all become durable, in that order.
      assert.deepEqual(answer, ops.slice(0, answer.length), `${op} was answered with what did not become durable`);
    } else if (!keyed && typeof answer === 'string' && !OPEN_CODES.includes(answer)) {
      assert.equal(count, 0, `${op} was refused with ${answer} and took effect`);
    }
  }
}

function ignore(): void {}

it('whatever goes wrong: acknowledged commands are there once, refused ones are not, and every caller is told', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 60 }),
      fc.array(trouble, { minLength: 1, maxLength: 20 }),
      fc.array(
        fc.integer({ min: 0, max: 9 }).map((n) => n > 1),
        { minLength: 1, maxLength: 10 },
      ),
      run,
    ),
    { numRuns: Number(process.env.TURMOIL_RUNS ?? 150) },
  );
});
