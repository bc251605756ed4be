/**
 * How members talk: messages to one member, and news to all. It loses messages (at a restart of what carries it, to a member that
 * is gone), may double and delay them, and never matters for safety: what it says is asked for again under the same id, or is found
 * in the database. Implemented on Redis in `schema/redis-bus.ts` and in memory in `memory-bus.ts`.
 */

/** News for all members: levels of stock, and that shards or members have changed. */
export type Topic = 'stock' | 'shards';

export interface Bus {
  /** Whether messages can be sent and heard now. */
  readonly connected: boolean;
  /**
   * Sends a message to the member of that incarnation. Resolves with the number of its receivers: 0 means that nobody heard it and
   * nobody will. Rejects where it is not known whether it was sent, and at once where the bus is not connected.
   */
  send(incarnation: string, message: Uint8Array): Promise<number>;
  /** Tells all other members, and this one too; lost without a word while the bus is away. */
  publish(topic: Topic, message: Uint8Array): void;
  /** Messages to `incarnation` from now on come to the listener. Returns what ends that. One member has one incarnation at a time. */
  receive(incarnation: string, listener: (message: Uint8Array) => void): Promise<() => void>;
  subscribe(topic: Topic, listener: (message: Uint8Array) => void): void;
  /**
   * Called at each loss and each return of the connection: after a return, whatever was published meanwhile was missed. Returns what
   * ends that.
   */
  onConnection(listener: (connected: boolean) => void): () => void;
  close(): Promise<void>;
}
