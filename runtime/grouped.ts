/**
 * One call for many: what is asked for while a call is at work goes together into the next one. A lone caller waits for nobody, and a crowd shares
 * what a call costs (a commit, a message to a thread). Callers bound how many wait.
 */
interface Waiting<In, Out> {
  readonly item: In;
  resolve(out: Out): void;
  reject(error: unknown): void;
}

/**
 * @param most items of one call
 * @param run resolves with one result for each item, in their order; where it rejects, all its callers hear that
 * @returns resolves with the item's own result
 */
export function grouped<In, Out>(
  most: number,
  run: (items: readonly In[]) => Promise<readonly Out[]>,
): (item: In) => Promise<Out> {
  let waiting: Waiting<In, Out>[] = [];
  let working = false;

  async function work(): Promise<void> {
    working = true;
    while (waiting.length > 0) {
      const group = waiting.slice(0, most);
      waiting = waiting.slice(most);
      try {
        const outs = await run(group.map(({ item }) => item));
        if (outs.length !== group.length) throw new Error(`${outs.length} results of ${group.length} items`);
        for (const [index, { resolve }] of group.entries()) resolve(outs[index] as Out);
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    working = false;
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (!working) void work();
    });
}
