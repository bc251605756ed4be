/**
 * The sandbox payment provider: the wire protocol of the contract over the ledger, in a process of its own beside the shop.
 *
 * It relies on the ledger for everything that must survive a crash and keeps nothing itself: an answer is sent only after
 * its transaction has committed, and a call whose answer was lost (the cards made for that, a killed process, a cut
 * connection) is repeated by the shop under its key. While PostgreSQL is away every call answers 500 and may be repeated.
 * Where it knows a shop's address it sends notices (`sandbox-notices.ts`), also of a payment whose answer was lost.
 * Its limits: bodies 16 KiB, 256 calls at work at once (then 503), 10 s to send a request.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type LedgerAction, type LedgerAnswer, openSandboxLedger, type SandboxLedger } from './sandbox-ledger.ts';
import { type NoticesOptions, SandboxNotices } from './sandbox-notices.ts';
import { type Card, cardOf } from './sandbox-tokens.ts';

export interface SandboxOptions {
  /** The database to keep the ledger in; its user makes the sandbox's role and schema at the first start. */
  readonly databaseUrl: string;
  /** 0: any free port. */
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Tells a shop of each change of a payment. Default: nobody. */
  readonly notices?: NoticesOptions | undefined;
}
export interface Sandbox {
  readonly url: string;
  /** Lets running calls finish for at most 2 s, then cuts them: their callers repeat them. */
  close(): Promise<void>;
}

const bodyLimitBytes = 16 * 1024;
const callsLimit = 256;
const closeTimeoutMs = 2_000;
const amountMax = 999_999_999_999;

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly delayMs?: number;
  readonly lost?: boolean;
}

/** The ledger, and who hears of what has changed in it. */
interface Books {
  readonly ledger: SandboxLedger;
  readonly tell: (result: LedgerAnswer) => void;
}

/** Of a change, once; a repeat under its key changed nothing. */
function tellOf(notices: SandboxNotices | null, { first, status, body }: LedgerAnswer): void {
  if (!first || status !== 200 || !('id' in body)) return;
  const { id: paymentId, reference, state } = body;
  notices?.tell({ type: `payment.${state}`, reference, paymentId, state });
}

/** A request that is answered with a code before the ledger is asked. */
class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const host = options.host ?? '127.0.0.1';
  const ledger = await openSandboxLedger(options.databaseUrl);
  const notices = options.notices === undefined ? null : new SandboxNotices(options.notices);
  const books: Books = { ledger, tell: (result) => tellOf(notices, result) };
  let calls = 0;
  const server = createServer(
    { maxHeaderSize: 8 * 1024, requestTimeout: 10_000, headersTimeout: 5_000, keepAliveTimeout: 60_000 },
    (request, response) => {
      calls += 1;
      const work = calls > callsLimit ? Promise.reject(busy()) : answer(books, request);
      work
        .catch(problem)
        .then((result) => send(request, response, result))
        .finally(() => {
          calls -= 1;
        })
        // A response that can no longer be written: its caller is gone and will ask again.
        .catch(() => response.destroy());
    },
  );
  try {
    await listen(server, options.port, host);
  } catch (error) {
    await ledger.close();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    async close() {
      const cut = setTimeout(() => server.closeAllConnections(), closeTimeoutMs);
      await new Promise((resolve) => server.close(resolve));
      clearTimeout(cut);
      notices?.close();
      await ledger.close();
    },
  };
}

async function answer(books: Books, request: IncomingMessage): Promise<Answer> {
  const target = request.url ?? '/';
  if (!URL.canParse(target, 'http://sandbox')) throw unknownRoute();
  const url = new URL(target, 'http://sandbox');
  const [version, collection, id, action, ...rest] = url.pathname.slice(1).split('/');
  if (version !== 'v1' || collection !== 'payments' || rest.length > 0) throw unknownRoute();
  if (id === undefined) {
    if (request.method === 'POST') return authorise(books, keyOf(request), await readJson(request));
    if (request.method === 'GET')
      return { status: 200, body: { items: await books.ledger.byReference(referenceOf(url)) } };
    throw wrongMethod();
  }
  if (!isWord(id)) throw new Refusal(404, 'not_found', 'No such payment.');
  if (action === undefined) {
    if (request.method !== 'GET') throw wrongMethod();
    const payment = await books.ledger.byId(id);
    if (payment === null) throw new Refusal(404, 'not_found', 'No such payment.');
    return { status: 200, body: payment };
  }
  if (action !== 'capture' && action !== 'void' && action !== 'refund') throw unknownRoute();
  if (request.method !== 'POST') throw wrongMethod();
  return act(books, action, id, keyOf(request), await readJson(request));
}

async function authorise({ ledger, tell }: Books, key: string, body: unknown): Promise<Answer> {
  const fields = fieldsOf(body, ['amount', 'currency', 'token', 'reference', 'captureMethod']);
  const amount = amountOf(fields.amount);
  const { currency, token, reference } = fields;
  if (typeof currency !== 'string' || !/^[A-Z]{3}$/.test(currency)) throw invalid('currency: three capital letters');
  if (!isWord(token)) throw invalid('token: 1 to 255 visible characters');
  if (!isWord(reference)) throw invalid('reference: 1 to 255 visible characters');
  if (fields.captureMethod !== 'manual') throw invalid('captureMethod: only "manual" is known');
  const card = cardOf(token);
  const result = await ledger.authorise({ amount, currency, token, reference }, card, key);
  tell(result);
  return withCard(result, card);
}

/** What the card does to an answer; only to the first one, and only where there is a payment. */
function withCard({ status, body, first }: LedgerAnswer, card: Card): Answer {
  if (!first || status !== 200) return { status, body };
  return { status, body, delayMs: card.answerDelayMs, lost: card.loseFirstAnswer };
}

async function act(
  { ledger, tell }: Books,
  action: LedgerAction,
  id: string,
  key: string,
  body: unknown,
): Promise<Answer> {
  const fields = fieldsOf(body, ['amount']);
  const amount = fields.amount === undefined ? null : amountOf(fields.amount);
  if (action === 'void' && amount !== null) throw invalid('amount: a void takes back the whole');
  const result = await ledger.act(action, id, amount, key);
  tell(result);
  return { status: result.status, body: result.body };
}

async function send(request: IncomingMessage, response: ServerResponse, answer: Answer): Promise<void> {
  if (answer.delayMs !== undefined && answer.delayMs > 0) {
    await new Promise((resolve) => setTimeout(resolve, answer.delayMs));
  }
  if (answer.lost === true) {
    request.socket.destroy();
    return;
  }
  if (response.destroyed) return;
  const bytes = Buffer.from(JSON.stringify(answer.body));
  // What is left of a body that was not read would be taken for the next request.
  if (!request.complete) response.setHeader('connection', 'close');
  if (answer.status === 503) response.setHeader('retry-after', '1');
  response.writeHead(answer.status, { 'content-type': 'application/json', 'content-length': bytes.length });
  response.end(bytes);
}

function problem(error: unknown): Answer {
  if (error instanceof Refusal) return { status: error.status, body: { code: error.code, message: error.message } };
  // The database is away, or a commit's outcome was lost: either way the caller repeats under its key.
  return { status: 500, body: { code: 'unavailable', message: 'The provider cannot answer now.' } };
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Kept open past the limit: the refusal goes out on the same connection.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bodyLimitBytes) throw new Refusal(413, 'body_too_large', `A body has at most ${bodyLimitBytes} bytes.`);
    chunks.push(chunk);
  }
  if (size === 0) return {};
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)));
  } catch {
    throw new Refusal(400, 'invalid_json', 'The body is not JSON in UTF-8.');
  }
}

function keyOf(request: IncomingMessage): string {
  const key = request.headers['idempotency-key'];
  if (!isWord(key)) {
    throw new Refusal(400, 'idempotency_key_required', 'Idempotency-Key: 1 to 255 visible characters.');
  }
  return key;
}

function referenceOf(url: URL): string {
  const reference = url.searchParams.get('reference');
  if (!isWord(reference)) throw invalid('reference: 1 to 255 visible characters');
  return reference;
}

function fieldsOf(body: unknown, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalid('the body is an object');
  for (const name of Object.keys(body)) if (!known.includes(name)) throw invalid(`${name.slice(0, 64)}: not known`);
  return body as Record<string, unknown>;
}

function amountOf(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > amountMax) {
    throw invalid(`amount: an integer in minor units, 1 to ${amountMax}`);
  }
  return value as number;
}

function isWord(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]{1,255}$/.test(value);
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

const invalid = (message: string): Refusal => new Refusal(400, 'invalid_request', message);
const unknownRoute = (): Refusal => new Refusal(404, 'not_found', 'No such route.');
const wrongMethod = (): Refusal => new Refusal(405, 'method_not_allowed', 'The route does not take this method.');
const busy = (): Refusal => new Refusal(503, 'overloaded', 'Too many calls at once.');
