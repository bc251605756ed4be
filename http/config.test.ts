import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, checkSecret, parseConfig } from './config.ts';

const SECRETS = {
  ADMIN_KEY: 'k'.repeat(40),
  TOKEN_SECRET: 's'.repeat(40),
  DATA_KEY: Buffer.alloc(32, 1).toString('base64'),
};

function refused(env: Record<string, string>): string {
  try {
    parseConfig(env);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  return '';
}

test('an empty environment is one embedded node on loopback', () => {
  const config = parseConfig({});
  assert.equal(config.port, 8080);
  assert.equal(config.host, '127.0.0.1');
  assert.equal(config.databaseUrl, null);
  assert.equal(config.opsPort, null);
  assert.deepEqual(config.secrets, {});
});

test('an empty value counts as not set', () => {
  assert.equal(parseConfig({ PORT: ' ', REDIS_URL: '' }).port, 8080);
});

test('each bad value is one line that names its variable', () => {
  const bad: Record<string, string> = {
    PORT: '70000',
    PAYMENT_WEBHOOK_SECRET: 'whsec_AAAA',
    OPS_PORT: '-1',
    DATABASE_URL: 'mysql://localhost/x',
    REDIS_URL: 'http://localhost',
    CLUSTER_ID: 'a b',
    NODE_ID: 'x'.repeat(38),
    SHARED_PORT: 'yes',
    NODE_WEIGHT: '0',
    ADMIN_KEY: 'short',
    TOKEN_SECRET: `${'s'.repeat(40)},short`,
    DATA_KEY: 'AAAA',
    PAYMENT_PROVIDER: 'cash',
    PAYMENT_SANDBOX_URL: 'nowhere',
    TAX_PROVIDER_URL: 'ftp://taxes',
    CARRIER_RATES_URL: 'carriers.example',
    SMTP_URL: 'http://mail',
    CORS_ORIGINS: 'https://shop.example/path',
    TRUSTED_PROXIES: '10.0.0.0/33',
    RATE_LIMITS: 'default',
    LOG_LEVEL: 'loud',
  };
  for (const [name, value] of Object.entries(bad)) {
    const message = refused({ [name]: value });
    assert.ok(message.startsWith(`${name}: `), `${name}: ${message}`);
    assert.ok(!message.includes('\n'), message);
  }
});

test('an outside database asks for every secret and for a payment provider', () => {
  const outside = { DATABASE_URL: 'postgres://shop@db/shop', PAYMENT_SANDBOX_URL: 'http://127.0.0.1:1', ...SECRETS };
  assert.equal(parseConfig(outside).databaseUrl, outside.DATABASE_URL);
  for (const name of ['ADMIN_KEY', 'TOKEN_SECRET', 'DATA_KEY', 'PAYMENT_SANDBOX_URL']) {
    assert.ok(refused({ ...outside, [name]: '' }).startsWith(`${name}: is required`), name);
  }
});

test('only nodes of one cluster may share a port', () => {
  const outside = { DATABASE_URL: 'postgres://shop@db/shop', PAYMENT_SANDBOX_URL: 'http://127.0.0.1:1', ...SECRETS };
  assert.equal(parseConfig(outside).sharedPort, false);
  assert.ok(refused({ ...outside, SHARED_PORT: '1' }).startsWith('SHARED_PORT: '));
  assert.ok(refused({ REDIS_URL: 'redis://127.0.0.1', SHARED_PORT: '1' }).startsWith('SHARED_PORT: '));
  assert.equal(parseConfig({ ...outside, REDIS_URL: 'redis://127.0.0.1', SHARED_PORT: '1' }).sharedPort, true);
});

test('a refusal repeats no secret and no password', () => {
  assert.ok(!refused({ DATABASE_URL: 'mysql://shop:hunter2@db/shop' }).includes('hunter2'));
  assert.throws(
    () => checkSecret('ADMIN_KEY', 'hunter2'),
    (error: Error) => !error.message.includes('hunter2'),
  );
});

test('lists are split and trimmed', () => {
  const config = parseConfig({
    TRUSTED_PROXIES: '10.0.0.0/8, ::1',
    CORS_ORIGINS: 'https://a.example ,http://localhost:3000',
  });
  assert.deepEqual(config.trustedProxies, ['10.0.0.0/8', '::1']);
  assert.deepEqual(config.corsOrigins, ['https://a.example', 'http://localhost:3000']);
});
