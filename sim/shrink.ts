/**
 * Makes a failing history small: fewest faults, then fewest clients, by delta debugging (Zeller and Hildebrandt, 2002): first big parts
 * are left out, then ever smaller ones, until each single thing that is left is needed. Since every fault and every client draws from
 * a source of its own, what stays does the same as before.
 */

/** What takes part: ids of planned faults, places of clients. */
export interface Case {
  readonly faults: readonly number[];
  readonly clients: readonly number[];
}

export interface Shrunk {
  readonly least: Case;
  readonly runs: number;
}

/** @param runsMax how many histories may be tried. Default 300. */
export async function shrink(first: Case, fails: (smaller: Case) => Promise<boolean>, runsMax = 300): Promise<Shrunk> {
  let least = first;
  let runs = 0;
  const attempt = async (smaller: Case): Promise<boolean> => {
    if (runs >= runsMax) return false;
    runs++;
    if (!(await fails(smaller))) return false;
    least = smaller;
    return true;
  };
  for (let size = -1; size !== sizeOf(least) && runs < runsMax; ) {
    size = sizeOf(least);
    await without(least.faults, (faults) => attempt({ ...least, faults }));
    await without(least.clients, (clients) => attempt({ ...least, clients }));
  }
  return { least, runs };
}

function sizeOf({ faults, clients }: Case): number {
  return faults.length + clients.length;
}

/** Leaves out parts of `items`, halves first, as long as `still` says that what is left will do. */
async function without(items: readonly number[], still: (fewer: readonly number[]) => Promise<boolean>): Promise<void> {
  let left = items;
  if (left.length > 1 && (await still([]))) return;
  for (let part = Math.ceil(left.length / 2); part >= 1; part = part === 1 ? 0 : Math.ceil(part / 2)) {
    for (let at = 0; at < left.length; ) {
      const fewer = [...left.slice(0, at), ...left.slice(at + part)];
      if (await still(fewer)) left = fewer;
      else at += part;
    }
  }
}
