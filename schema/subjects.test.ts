import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import type { KyselyPlugin } from 'kysely';
import { SubjectKeys } from './subjects.ts';
import { migratedTestDatabase, type TestDatabase, until } from './test-database.ts';

let database: TestDatabase;
const dataKey = randomBytes(32);
before(async () => {
  database = await migratedTestDatabase();
});
after(async () => {
  await database.drop();
});

const open = (key = dataKey) => new SubjectKeys({ db: database.db, dataKey: key });

describe('subject keys', () => {
  it('open what was sealed, also in another process, whatever the value is', async () => {
    const keys = open();
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (value) => {
        const expected = JSON.parse(JSON.stringify(value));
        const sealed = await keys.seal('s1', value);
        assert.deepEqual(await keys.open('s1', sealed), expected);
        assert.deepEqual(await open().open('s1', sealed), expected);
      }),
      { numRuns: 20 },
    );
  });

  it('seal the same value differently each time, and show nothing of it', async () => {
    const keys = open();
    const first = await keys.sealBytes('s1', Buffer.from('ada@example.org'));
    const second = await keys.sealBytes('s1', Buffer.from('ada@example.org'));
    assert.notDeepEqual(first, second);
    assert.ok(!Buffer.from(first).includes('ada'));
  });

  it('seal into memory of its own, so that an order keeps no more than its bytes', async () => {
    const sealed = await open().sealBytes('s1', Buffer.from('ada@example.org'));
    assert.equal(sealed.buffer.byteLength, sealed.length);
  });

  it('give a person one pseudonym that shows nothing of them, another under another DATA_KEY', () => {
    const name = open().pseudonym('ada@example.org');
    assert.match(name, /^[\w-]{22}$/);
    assert.equal(open().pseudonym('ada@example.org'), name);
    assert.notEqual(open().pseudonym('bob@example.org'), name);
    assert.notEqual(open(randomBytes(32)).pseudonym('ada@example.org'), name);
  });

  it('open an erased subject as null everywhere, and never give it a key again', async () => {
    const keys = open();
    const sealed = await keys.seal('gone', { email: 'x' });
    await keys.erase('gone');
    assert.equal(await keys.open('gone', sealed), null);
    assert.equal(await open().open('gone', sealed), null);
    await assert.rejects(keys.ensure('gone'), /was erased/);
    await assert.rejects(open().seal('gone', 1), /was erased/);
    const row = await database.db
      .selectFrom('subject_key')
      .selectAll()
      .where('subject', '=', 'gone')
      .executeTakeFirst();
    assert.equal(row?.wrapped, null);
    await keys.erase('never had one');
    await assert.rejects(keys.ensure('never had one'), /was erased/);
  });

  it('are gone from memory once erased, also where they were just being read', async () => {
    const uses: ((keys: SubjectKeys, subject: string, sealed: Uint8Array) => Promise<unknown>)[] = [
      (keys, subject, sealed) => keys.open(subject, sealed),
      (keys, subject) => keys.ensure(subject),
    ];
    for (const [index, use] of uses.entries()) {
      const subject = `raced-${index}`;
      const sealed = await open().seal(subject, 'x');
      let arrived = false;
      let pass: () => void = () => {};
      const held = new Promise<void>((resolve) => (pass = resolve));
      // The key has been read, and is not here yet.
      const late: KyselyPlugin = {
        transformQuery: ({ node }) => node,
        transformResult: async ({ result }) => {
          if (result.rows.length === 0) return result;
          arrived = true;
          await held;
          return result;
        },
      };
      const keys = new SubjectKeys({ db: database.db.withPlugin(late), dataKey });
      const using = use(keys, subject, sealed);
      await until(() => arrived, 'the key is read');
      await keys.erase(subject);
      pass();
      await using;
      assert.equal(await keys.open(subject, sealed), null);
      await assert.rejects(keys.ensure(subject), /was erased/);
    }
  });

  it('are one per subject when many ask at once, in this process and another', async () => {
    const processes = [open(), open(), open()];
    const subjects = Array.from({ length: 700 }, (_, index) => `many-${index}`);
    await Promise.all(processes.flatMap((keys) => subjects.map((subject) => keys.ensure(subject))));
    for (const subject of ['many-0', 'many-499', 'many-699']) {
      const sealed = await processes[0]?.seal(subject, subject);
      assert.ok(sealed);
      for (const keys of processes) assert.equal(await keys.open(subject, sealed), subject);
    }
  });

  it('are durable when ensure resolves, and an id that cannot be stored fails nobody else', async () => {
    const keys = open();
    const results = await Promise.allSettled([keys.ensure('good'), keys.ensure('nul\0'), keys.ensure('fine')]);
    assert.deepEqual(
      results.map((result) => result.status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    const rows = await database.db
      .selectFrom('subject_key')
      .select('subject')
      .where('subject', 'in', ['good', 'fine'])
      .execute();
    assert.equal(rows.length, 2);
  });

  it('do not open what belongs to another subject, or was changed', async () => {
    const keys = open();
    const sealed = await keys.seal('s1', 'secret');
    await keys.ensure('s2');
    await assert.rejects(keys.open('s2', sealed), /damaged or not of this subject/);
    for (let at = 0; at < sealed.length; at++) {
      const changed = Uint8Array.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      await assert.rejects(keys.open('s1', changed), /damaged/);
    }
    await assert.rejects(keys.open('s1', new Uint8Array(3)), /damaged/);
  });

  it('tell at start that DATA_KEY is another one, and take the right one again', async () => {
    await Promise.all([open().check(), open().check()]);
    await assert.rejects(open(randomBytes(32)).check(), /DATA_KEY is not the one/);
    await open().check();
    assert.throws(() => open(randomBytes(16)), /DATA_KEY must be 32 bytes/);
  });
});
