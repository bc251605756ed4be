/**
 * Latencies counted in log-linear buckets, so that histograms of several generators and rounds merge without loss and cost the same however
 * many values they hold. Whole microseconds from 1 to 2³¹. Up to 127 they are exact; above, a bucket is at most 1/64 of its value wide and stands for
 * its middle, so a percentile is off by at most 0.8 %.
 */

/** Pairs of bucket and count, for JSON and for messages between processes. */
export type Counts = readonly (readonly [bucket: number, count: number])[];

const SUB_BITS = 6;
const SUB = 1 << SUB_BITS;
const BUCKETS = SUB * (32 - SUB_BITS);
export const RELATIVE_ERROR = 1 / (2 * SUB);

export class Histogram {
  readonly #counts = new Float64Array(BUCKETS);
  #count = 0;

  static from(counts: Counts): Histogram {
    const histogram = new Histogram();
    histogram.merge(counts);
    return histogram;
  }

  get count(): number {
    return this.#count;
  }

  record(microseconds: number): void {
    const value = Math.min(2 ** 31 - 1, Math.max(1, Math.round(microseconds)));
    const bucket = bucketOf(value);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count++;
  }

  merge(counts: Counts): void {
    for (const [bucket, count] of counts) {
      if (!(bucket >= 0 && bucket < BUCKETS && count >= 0)) throw new RangeError(`no such bucket: ${bucket}`);
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count;
      this.#count += count;
    }
  }

  /** @param percent 0 to 100; NaN where nothing was recorded */
  percentile(percent: number): number {
    if (this.#count === 0) return Number.NaN;
    const rank = Math.max(1, Math.ceil((percent / 100) * this.#count));
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket] ?? 0;
      if (seen >= rank) return middleOf(bucket);
    }
    return Number.NaN;
  }

  /** Share of the values that lie above, 0 to 1; to a bucket's width. */
  shareAbove(microseconds: number): number {
    if (this.#count === 0) return 0;
    let above = 0;
    for (let bucket = BUCKETS - 1; bucket >= 0 && middleOf(bucket) > microseconds; bucket--)
      above += this.#counts[bucket] ?? 0;
    return above / this.#count;
  }

  counts(): Counts {
    const pairs: (readonly [number, number])[] = [];
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = this.#counts[bucket] ?? 0;
      if (count > 0) pairs.push([bucket, count]);
    }
    return pairs;
  }
}

function bucketOf(value: number): number {
  if (value < 2 * SUB) return value;
  const shift = 31 - Math.clz32(value) - SUB_BITS;
  return shift * SUB + (value >>> shift);
}

function middleOf(bucket: number): number {
  if (bucket < 2 * SUB) return bucket;
  const shift = (bucket >>> SUB_BITS) - 1;
  return (bucket - shift * SUB) * 2 ** shift + (2 ** shift - 1) / 2;
}
