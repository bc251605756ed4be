import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { DataDirError, loadSecrets, prepareDataDir, writeFileOnce } from './data-dir.ts';

describe('the data directory', () => {
  let scratch = '';
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'stampede-data-'));
  });
  after(() => rm(scratch, { recursive: true, force: true }));

  it('is made with its parents and closed to other users', async () => {
    const path = await prepareDataDir(join(scratch, 'a', 'b'));
    const { mode } = await stat(path);
    assert.equal(mode & 0o777, process.getuid?.() === 0 ? 0o711 : 0o700);
  });

  it('is named by its real path', async () => {
    const path = await prepareDataDir(join(scratch, 'real'));
    await symlink(path, join(scratch, 'alias'));
    assert.equal(await prepareDataDir(join(scratch, 'alias')), path);
  });

  it('is refused where it is shared with others, and left as it is', async () => {
    const { mode } = await stat(tmpdir());
    await assert.rejects(prepareDataDir(tmpdir()), DataDirError);
    assert.equal((await stat(tmpdir())).mode, mode);
  });

  it('is refused where a file stands in its place', async () => {
    await writeFile(join(scratch, 'file'), '');
    await assert.rejects(prepareDataDir(join(scratch, 'file')), { code: 'data_dir_unusable' });
  });

  it('keeps the secrets it generated, readable by the owner only', async () => {
    const path = await prepareDataDir(join(scratch, 'secrets'));
    const first = await loadSecrets(path, ['data-key', 'token-secret']);
    const second = await loadSecrets(path, ['token-secret', 'data-key']);
    assert.deepEqual({ ...second }, { ...first });
    assert.equal(Buffer.from(first['data-key'], 'base64').length, 32);
    assert.notEqual(first['data-key'], first['token-secret']);
    assert.equal((await stat(join(path, 'data-key.secret'))).mode & 0o777, 0o600);
    assert.deepEqual((await readdir(path)).sort(), ['data-key.secret', 'token-secret.secret']);
  });

  it('gives everybody who asks at the same moment the same secret', async () => {
    const path = await prepareDataDir(join(scratch, 'race'));
    const all = await Promise.all(Array.from({ length: 20 }, () => loadSecrets(path, ['key'])));
    assert.equal(new Set(all.map((secrets) => secrets.key)).size, 1);
  });

  it('never replaces a secret, not even an empty one', async () => {
    const path = await prepareDataDir(join(scratch, 'empty'));
    await writeFile(join(path, 'key.secret'), '');
    await assert.rejects(loadSecrets(path, ['key']), DataDirError);
    await writeFileOnce(join(path, 'other.secret'), 'first');
    await writeFileOnce(join(path, 'other.secret'), 'second');
    assert.equal(await readFile(join(path, 'other.secret'), 'utf8'), 'first');
  });

  it('takes no path for a secret name', async () => {
    await assert.rejects(loadSecrets(scratch, ['../x']), DataDirError);
  });
});
