/**
 * The incarnations of a node, one after the other. The edge, the jobs and the feed live as long as the process and speak to the
 * actors through this: `ask` goes to the incarnation that serves now.
 *
 * States:
 * - `joining`: no incarnation: whoever asks hears `shard_unavailable` (503, with `Retry-After`). Joined → `serving`. Tried again with
 *   back-off, but not where the refusal is about the configuration: then the process is to end (`onFatal`);
 * - `serving`: fenced → `joining`, under a new incarnation, or the end where `rejoins` is false;
 * - `ended`: by `end`, from either.
 * Beside that a node is `leaving` from `giveAll` on, or once an operator has asked it to: its incarnations serve, but have no shards.
 */
import type { ActorRef } from './actor.ts';
import type { Clock } from './clock.ts';
import { Fault } from './fault.ts';
import type { Incarnation } from './incarnation.ts';
import { Refusal } from './refusal.ts';
import type { ActorSystem, AskOptions } from './system.ts';

export interface SuccessionOptions {
  readonly open: (leaving: boolean) => Promise<Incarnation>;
  readonly clock: Clock;
  /** Whether a fenced node joins anew. False where nobody else may be on its database. */
  readonly rejoins: boolean;
  /** It cannot go on; one line. */
  readonly onFatal: (error: Error) => void;
  readonly log: { warn(detail: object, message: string): void; info(detail: object, message: string): void };
}

const BACKOFF_MIN_MS = 100;
const BACKOFF_MAX_MS = 5_000;
/** What it still has then, it gives away when somebody comes. */
const DRAIN_ASKED_MS = 60_000;

export class Succession implements Pick<ActorSystem, 'ask' | 'submit'> {
  /** How often it was fenced. */
  fencings = 0;
  readonly #options: SuccessionOptions;
  #ending = false;
  /** Ends the pause between two tries. */
  #hurry: () => void = () => {};
  #current: Incarnation | null = null;
  #joining: Promise<void> = Promise.resolve();
  #leaving = false;
  #stats: Readonly<Record<string, number>> = {};

  constructor(options: SuccessionOptions) {
    this.#options = options;
  }

  /** Joins for the first time; a failure is the caller's. */
  async start(): Promise<void> {
    this.#serve(await this.#options.open(false));
  }

  /** The incarnation that serves; null: none does now. */
  get current(): Incarnation | null {
    return this.#current;
  }

  /** @throws Fault `shard_unavailable` where none serves */
  get serving(): Incarnation {
    if (this.#current === null) throw nobodyServes();
    return this.#current;
  }

  ask(ref: ActorRef, command: unknown, options?: AskOptions): Promise<unknown> {
    const current = this.#current;
    return current === null ? Promise.reject(nobodyServes()) : current.system.ask(ref, command, options);
  }

  submit(...call: Parameters<ActorSystem['submit']>): void {
    const [ref, command, options, done, failed] = call;
    if (this.#current === null) failed(nobodyServes());
    else this.#current.system.submit(ref, command, options, done, failed);
  }

  /** Of the current actors, or as they last were. The names are always the same. */
  get stats(): Readonly<Record<string, number>> {
    if (this.#current !== null) this.#stats = this.#current.system.stats;
    return this.#stats;
  }

  /** In words for an operator; empty where it serves. */
  reasonsNotToServe(): readonly string[] {
    const leaving = this.#leaving ? ['leaving'] : [];
    if (this.#current === null) return [...leaving, 'joining'];
    return this.#current.membership.mayAnswer() ? leaving : [...leaving, 'the database is away'];
  }

  /** Leaves the shards to others from now on, and goes on serving. Resolves when nothing more can be given away, or after `timeoutMs`. */
  async giveAll(timeoutMs: number): Promise<void> {
    this.#leaving = true;
    await this.#current?.giveAll(timeoutMs);
  }

  /** Ends the incarnation in order. Nothing is joined any more. */
  async end(drainMs: number): Promise<void> {
    this.#ending = true;
    this.#hurry();
    await this.#joining;
    await this.#current?.end(drainMs);
    this.#current = null;
  }

  #serve(incarnation: Incarnation): void {
    this.#current = incarnation;
    incarnation.onFenced(() => this.#fenced(incarnation));
    incarnation.membership.onDrainRequested(() => {
      const { log } = this.#options;
      log.info({}, 'an operator has asked this node to leave: it gives its shards away');
      this.giveAll(DRAIN_ASKED_MS).catch((error: unknown) => log.warn({ error: String(error) }, 'could not leave'));
    });
  }

  #fenced(incarnation: Incarnation): void {
    this.fencings++;
    this.#stats = incarnation.system.stats;
    this.#current = null;
    const reason = "another member has taken over this node's place";
    if (this.#options.rejoins) {
      this.#options.log.warn({ incarnation: incarnation.membership.incarnation }, reason);
      this.#joining = this.#rejoin();
    } else {
      this.#options.onFatal(new Error(reason));
    }
  }

  async #rejoin(): Promise<void> {
    const { open, log, onFatal } = this.#options;
    for (let attempt = 0; !this.#ending; attempt++) {
      try {
        this.#serve(await open(this.#leaving));
        log.info({ incarnation: this.#current?.membership.incarnation }, 'joined anew');
        return;
      } catch (error) {
        if (error instanceof Refusal) {
          onFatal(error);
          return;
        }
        log.warn({ error: String(error), attempt }, 'could not join yet');
      }
      const delayMs = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** attempt);
      await this.#pause(delayMs);
    }
  }

  async #pause(delayMs: number): Promise<void> {
    if (this.#ending) return;
    await new Promise<void>((resolve) => {
      const timer = this.#options.clock.setTimeout(resolve, delayMs);
      this.#hurry = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

function nobodyServes(): Fault {
  return new Fault('shard_unavailable', 'this node is joining', { retryAfterMs: 1_000 });
}
