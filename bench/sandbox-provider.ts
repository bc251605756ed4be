/** The outside payment provider of a test cluster: `stampede sandbox` as an operator would start it, with its books in a database of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { NoticesOptions } from '../payments/sandbox-notices.ts';
import { type BookedPayment, bookedPayments } from './books.ts';
import { type ScratchDatabase, scratchDatabase } from './scratch-database.ts';
import { entryPoint, freePort, until } from './shop-process.ts';

export class SandboxProvider {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #books: ScratchDatabase;

  private constructor(url: string, child: ChildProcess, books: ScratchDatabase) {
    this.url = url;
    this.#child = child;
    this.#books = books;
  }

  /**
   * @param server of the books; not the one that a test crashes
   * @param notices who is told of each change of a payment; default: nobody
   */
  static async start(server: string | undefined, notices?: NoticesOptions): Promise<SandboxProvider> {
    const books = await scratchDatabase(server, 'stampede_books');
    const port = await freePort();
    const told = notices === undefined ? [] : ['--webhook-url', notices.url];
    const child = spawn(process.execPath, [entryPoint(), 'sandbox', '--port', String(port), ...told], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        PATH: process.env.PATH,
        SANDBOX_DATABASE_URL: books.url,
        ...(notices === undefined ? {} : { PAYMENT_WEBHOOK_SECRET: notices.secret }),
      },
    });
    const url = `http://127.0.0.1:${port}`;
    await until('the provider answers', async () => {
      if (child.exitCode !== null) throw new Error(`the provider ended with ${child.exitCode} at its start`);
      return await fetch(`${url}/v1/payments?reference=none`).then(
        (answer) => answer.ok,
        () => false,
      );
    });
    return new SandboxProvider(url, child, books);
  }

  payments(): Promise<readonly BookedPayment[]> {
    return bookedPayments(this.#books.url);
  }

  async close(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#books.drop();
  }
}
