/**
 * Chance from a seed: sfc32 (Chris Doty-Humphrey's Small Fast Chaotic generator, public domain, passes PractRand), one stream for each
 * purpose. A stream depends on the seed and its names alone and not on what others have drawn: a draw that is added in one place changes
 * nothing elsewhere.
 */
export class Random {
  readonly #name: string;
  readonly #seed: number;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param purpose names the stream; the same seed and purpose give the same draws. */
  constructor(seed: number, purpose: string) {
    this.#seed = seed;
    this.#name = purpose;
    const mix = mixerOf(seed, purpose);
    this.#a = mix();
    this.#b = mix();
    this.#c = mix();
    for (let i = 0; i < 12; i++) this.nextUint32();
  }

  /** A stream of its own; takes no draw from this one. */
  split(purpose: string): Random {
    return new Random(this.#seed, `${this.#name}/${purpose}`);
  }

  nextUint32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0;
    return t >>> 0;
  }

  /** From 0 to below 1. */
  unit(): number {
    return this.nextUint32() / 0x1_0000_0000;
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  /** A number from `min` to below `max`, with fraction. */
  between(min: number, max: number): number {
    return min + this.unit() * (max - min);
  }

  /** A whole number from `min` to `max`, both included. */
  int(min: number, max: number): number {
    return min + Math.floor(this.unit() * (max - min + 1));
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.int(0, items.length - 1)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }

  /** One of the items, each as likely as its weight says. */
  weighted<T>(items: readonly (readonly [item: T, weight: number])[]): T {
    let left = this.unit() * items.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [item, weight] of items) {
      left -= weight;
      if (left < 0) return item;
    }
    return this.pick(items)[0];
  }

  /** Mostly short, at times long: exponential around the mean, at most twenty times of it. */
  delay(mean: number): number {
    return Math.min(20 * mean, -Math.log(1 - this.unit()) * mean);
  }
}

/** FNV-1a over the purpose, then splitmix32: neighbouring seeds have nothing in common. */
function mixerOf(seed: number, purpose: string): () => number {
  let hash = 0x811c9dc5 ^ (seed >>> 0) ^ Math.imul(Math.floor(seed / 0x1_0000_0000), 0x9e3779b1);
  for (let i = 0; i < purpose.length; i++) hash = Math.imul(hash ^ purpose.charCodeAt(i), 0x01000193);
  return () => {
    hash = (hash + 0x9e3779b9) | 0;
    let t = hash ^ (hash >>> 16);
    t = Math.imul(t, 0x21f0aaad);
    t ^= t >>> 15;
    t = Math.imul(t, 0x735a2d97);
    return (t ^ (t >>> 15)) | 0;
  };
}
