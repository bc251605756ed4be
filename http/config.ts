/**
 * A node's configuration, read from an environment that is handed in (only `stampede.ts` hands in the process's own). Every
 * variable is validated here, once; a bad value is a `ConfigError` of one line that names the variable.
 */
import { BlockList } from 'node:net';
import { isNoticeSecret } from '../payments/notice.ts';
import { Refusal } from '../runtime/refusal.ts';
import { parseRateLimits, type RateLimitRules } from './rate-limits.ts';

/** What a start ends with that no repeat can help: `EX_CONFIG` of sysexits. Other ends have 1. */
export const CONFIG_EXIT_CODE = 78;

export class ConfigError extends Refusal {
  constructor(variable: string, message: string) {
    super(`${variable}: ${message}`);
    this.name = 'ConfigError';
  }
}

export const SECRET_NAMES = ['ADMIN_KEY', 'TOKEN_SECRET', 'DATA_KEY'] as const;
export type SecretName = (typeof SECRET_NAMES)[number];
/** An incarnation's name begins with it, and names connections: 63 bytes in all. Three are left for the number that `--nodes` adds. */
const NODE_ID_MAX = 37;
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

export interface Config {
  /** Default 8080; 0 takes a free one. */
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly host: string;
  /** True: other nodes of the cluster may listen on `port` too. Default false: a second process there is refused. */
  readonly sharedPort: boolean;
  /** null: operators' calls are served on `port`. */
  readonly opsPort: number | null;
  /** null: embedded PostgreSQL under `dataDir`. */
  readonly databaseUrl: string | null;
  readonly dataDir: string;
  /** null: one node, no bus; jobs on PostgreSQL. */
  readonly redisUrl: string | null;
  readonly clusterId: string;
  /** The same over restarts: shards come back to where they were. */
  readonly nodeId: string;
  /** Default 1: its share of the shards is in proportion to it. */
  readonly nodeWeight: number;
  /** What was given; in embedded mode the missing ones are generated and kept under `dataDir`. */
  readonly secrets: Readonly<Partial<Record<SecretName, string>>>;
  readonly paymentProvider: 'sandbox';
  readonly paymentSandboxUrl: string | null;
  /** Empty: notices of the provider are not taken. All verify. */
  readonly paymentWebhookSecrets: readonly string[];
  /** Asked for taxes at checkout; null: the table of rates alone. */
  readonly taxProviderUrl: string | null;
  /** Asked for shipping prices at checkout; null: the methods' own. */
  readonly carrierRatesUrl: string | null;
  readonly smtpUrl: string | null;
  readonly corsOrigins: readonly string[];
  readonly trustedProxies: readonly string[];
  readonly rateLimits: RateLimitRules | 'off';
  readonly logLevel: (typeof LOG_LEVELS)[number];
}

type Environment = Readonly<Record<string, string | undefined>>;

export function parseConfig(env: Environment): Config {
  const text = (name: string): string | null => {
    const value = env[name]?.trim();
    return value ? value : null;
  };
  const databaseUrl = url(text, 'DATABASE_URL', ['postgres:', 'postgresql:']);
  const secrets: Partial<Record<SecretName, string>> = {};
  for (const name of SECRET_NAMES) {
    const value = text(name);
    if (value !== null) secrets[name] = checkSecret(name, value);
    else if (databaseUrl !== null) throw new ConfigError(name, 'is required where DATABASE_URL is set');
  }
  const provider = text('PAYMENT_PROVIDER') ?? 'sandbox';
  if (provider !== 'sandbox') throw new ConfigError('PAYMENT_PROVIDER', `must be sandbox, not ${quote(provider)}`);
  const paymentSandboxUrl = url(text, 'PAYMENT_SANDBOX_URL', ['http:', 'https:']);
  if (databaseUrl !== null && paymentSandboxUrl === null)
    throw new ConfigError(
      'PAYMENT_SANDBOX_URL',
      'is required where DATABASE_URL is set (`stampede sandbox` runs a provider)',
    );
  const redisUrl = url(text, 'REDIS_URL', ['redis:', 'rediss:']);
  const sharedPort = flag(text, 'SHARED_PORT');
  if (sharedPort && (databaseUrl === null || redisUrl === null))
    throw new ConfigError('SHARED_PORT', 'is for nodes of one cluster: it needs DATABASE_URL and REDIS_URL');
  const opsPort = text('OPS_PORT') === null ? null : port(text, 'OPS_PORT', 0);
  const logLevel = text('LOG_LEVEL') ?? 'info';
  if (!isLogLevel(logLevel))
    throw new ConfigError('LOG_LEVEL', `must be one of ${LOG_LEVELS.join(', ')}, not ${quote(logLevel)}`);
  return {
    port: port(text, 'PORT', 8080),
    host: text('HOST') ?? '127.0.0.1',
    sharedPort,
    opsPort,
    databaseUrl,
    dataDir: text('DATA_DIR') ?? '.data',
    redisUrl,
    clusterId: name(text, 'CLUSTER_ID', 'stampede'),
    nodeId: name(text, 'NODE_ID', 'node-1', NODE_ID_MAX),
    nodeWeight: weight(text, 'NODE_WEIGHT'),
    secrets,
    paymentProvider: 'sandbox',
    paymentSandboxUrl,
    paymentWebhookSecrets: noticeSecrets(text, 'PAYMENT_WEBHOOK_SECRET'),
    taxProviderUrl: url(text, 'TAX_PROVIDER_URL', ['http:', 'https:']),
    carrierRatesUrl: url(text, 'CARRIER_RATES_URL', ['http:', 'https:']),
    smtpUrl: url(text, 'SMTP_URL', ['smtp:', 'smtps:']),
    corsOrigins: list(text('CORS_ORIGINS')).map(origin),
    trustedProxies: list(text('TRUSTED_PROXIES')).map(network),
    rateLimits: rateLimits(text('RATE_LIMITS')),
    logLevel,
  };
}

/** Returns the secret, or says what is wrong with it without showing it. */
export function checkSecret(variable: SecretName, value: string): string {
  if (variable === 'DATA_KEY') {
    if (Buffer.from(value, 'base64').length !== 32) throw new ConfigError(variable, 'must be 32 bytes in base64');
    return value;
  }
  for (const secret of variable === 'TOKEN_SECRET' ? list(value) : [value])
    if (secret.length < 32) throw new ConfigError(variable, 'must be at least 32 characters long');
  if (list(value).length === 0) throw new ConfigError(variable, 'must not be empty');
  return value;
}

/** The value is never repeated in the message. */
function noticeSecrets(text: (name: string) => string | null, variable: string): readonly string[] {
  const secrets = list(text(variable));
  if (!secrets.every(isNoticeSecret))
    throw new ConfigError(variable, 'must be whsec_ and at least 24 bytes in base64, or a list of such');
  return secrets;
}

export function list(value: string | null): string[] {
  return (value ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function isLogLevel(value: string): value is Config['logLevel'] {
  return LOG_LEVELS.some((level) => level === value);
}

const quote = (value: string) => JSON.stringify(value.slice(0, 80));

function port(text: (name: string) => string | null, variable: string, fallback: number): number {
  const value = text(variable);
  if (value === null) return fallback;
  if (!/^\d{1,5}$/.test(value) || Number(value) > 65_535)
    throw new ConfigError(variable, `must be a port from 0 to 65535, not ${quote(value)}`);
  return Number(value);
}

function flag(text: (name: string) => string | null, variable: string): boolean {
  const value = text(variable) ?? '0';
  if (value !== '0' && value !== '1') throw new ConfigError(variable, `must be 0 or 1, not ${quote(value)}`);
  return value === '1';
}

function weight(text: (name: string) => string | null, variable: string): number {
  const value = text(variable) ?? '1';
  const number = Number(value);
  if (!/^\d{1,3}(\.\d{1,3})?$/.test(value) || number < 0.01 || number > 100)
    throw new ConfigError(variable, `must be a number from 0.01 to 100, not ${quote(value)}`);
  return number;
}

function name(text: (name: string) => string | null, variable: string, fallback: string, lengthMax = 64): string {
  const value = text(variable) ?? fallback;
  if (!/^[A-Za-z0-9._-]+$/.test(value) || value.length > lengthMax)
    throw new ConfigError(variable, `must be 1 to ${lengthMax} of A-Z a-z 0-9 . _ -, not ${quote(value)}`);
  return value;
}

/** The value is never repeated in the message: it may carry a password. */
function url(text: (name: string) => string | null, variable: string, protocols: readonly string[]): string | null {
  const value = text(variable);
  if (value === null) return null;
  if (!URL.canParse(value) || !protocols.includes(new URL(value).protocol))
    throw new ConfigError(variable, `must be a URL that starts with ${protocols.map((p) => `${p}//`).join(' or ')}`);
  return value;
}

function origin(value: string): string {
  if (!URL.canParse(value) || new URL(value).origin !== value)
    throw new ConfigError('CORS_ORIGINS', `${quote(value)} is not an origin such as https://shop.example`);
  return value;
}

function network(value: string): string {
  const [address = '', bits] = value.split('/');
  const family = address.includes(':') ? 'ipv6' : 'ipv4';
  try {
    if (bits === undefined) new BlockList().addAddress(address, family);
    else if (/^\d{1,3}$/.test(bits)) new BlockList().addSubnet(address, Number(bits), family);
    else throw new Error('prefix length');
  } catch {
    throw new ConfigError('TRUSTED_PROXIES', `${quote(value)} is no address or network such as 10.0.0.0/8`);
  }
  return value;
}

function rateLimits(value: string | null): RateLimitRules | 'off' {
  try {
    return parseRateLimits(value);
  } catch (error) {
    throw new ConfigError('RATE_LIMITS', error instanceof Error ? error.message : 'is not valid');
  }
}
