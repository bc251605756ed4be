/**
 * Which tax rates hold at a place, at an instant, for a tax category. Rates are found by country, region and beginning of the
 * postal code in an index that is made once for each list of rates; what was found for a place is kept (`PLACES_MAX` of them), so
 * that a line costs one lookup by its category.
 */
import type { TaxRate } from '../schema/tax-rate.ts';
import { inZone, type Place, postalKey, type Zone } from '../schema/zone.ts';
import { PPM } from './money.ts';
import { isValid } from './price-lookup.ts';
import type { TaxExemption } from './quote.ts';

/** Rates that fit one category, by their places in the book's list. */
export interface TaxSet {
  /** Contained in prices, simple ones first, then compound ones in order. */
  readonly contained: readonly FittingRate[];
  /** On top, in the same order. */
  readonly added: readonly FittingRate[];
  /** Fit, but the buyer is spared. */
  readonly spared: readonly FittingRate[];
  /** What a price with the contained taxes is to one without, as a fraction; null: they are the same. */
  readonly factor: Factor | null;
  /** As `factor`, with the contained rates that the buyer is spared: what a price of this market contains as it is listed. */
  readonly listedFactor: Factor | null;
  /** As if all rates were contained: what a gross price of this place has in it. */
  readonly grossFactor: Factor | null;
}
export interface FittingRate {
  readonly index: number;
  readonly id: string;
  readonly ratePpm: number;
  readonly compound: boolean;
}
export interface Factor {
  readonly num: bigint;
  readonly den: bigint;
  /** Sum of the rates; 0 where one is compound. */
  readonly simplePpm: number;
}

const PLACES_MAX = 1_000;
const NO_TAXES: TaxSet = Object.freeze({
  contained: [],
  added: [],
  spared: [],
  factor: null,
  listedFactor: null,
  grossFactor: null,
});

/** What is known of one place at one time. */
export class TaxPlace {
  readonly #rates: readonly TaxRate[];
  readonly #here: readonly number[];
  readonly #exemption: TaxExemption | null;
  readonly #country: string;
  readonly #sets = new Map<string, TaxSet>();

  constructor(rates: readonly TaxRate[], here: readonly number[], exemption: TaxExemption | null, country: string) {
    this.#rates = rates;
    this.#here = here;
    this.#exemption = exemption;
    this.#country = country;
  }

  of(category: string): TaxSet {
    if (this.#here.length === 0) return NO_TAXES;
    let set = this.#sets.get(category);
    if (set === undefined) {
      set = this.#make(category);
      this.#sets.set(category, set);
    }
    return set;
  }

  #make(category: string): TaxSet {
    const contained: FittingRate[] = [];
    const added: FittingRate[] = [];
    const spared: FittingRate[] = [];
    const listed: FittingRate[] = [];
    for (const index of this.#here) {
      const rate = this.#rates[index];
      if (rate === undefined || !rate.categories.includes(category)) continue;
      const fitting = { index, id: rate.id, ratePpm: rate.ratePpm, compound: rate.compound === true };
      if (rate.included) listed.push(fitting);
      if (spares(this.#exemption, rate, this.#country)) spared.push(fitting);
      else if (rate.included) contained.push(fitting);
      else added.push(fitting);
    }
    if (contained.length + added.length + spared.length === 0) return NO_TAXES;
    const inOrder = (list: FittingRate[]) =>
      list.sort((a, b) => Number(a.compound) - Number(b.compound) || a.index - b.index);
    return {
      contained: inOrder(contained),
      added: inOrder(added),
      spared,
      factor: factorOf(contained),
      listedFactor: factorOf(inOrder(listed)),
      grossFactor: factorOf(inOrder([...contained, ...added, ...spared])),
    };
  }
}

/** Whether an exempt buyer is spared this rate. */
export function spares(exemption: TaxExemption | null | undefined, rate: TaxRate, country: string): boolean {
  if (exemption === null || exemption === undefined || !holdsIn(exemption, country)) return false;
  return exemption.kind === 'exempt' ? rate.exemptible !== false : rate.reverseCharge === true;
}

export function holdsIn({ countries }: TaxExemption, country: string): boolean {
  return countries === undefined || countries.includes(country);
}

function factorOf(rates: readonly FittingRate[]): Factor | null {
  let simplePpm = 0;
  let num = BigInt(PPM);
  let den = BigInt(PPM);
  let compound = false;
  for (const rate of rates) {
    if (rate.compound) {
      compound = true;
      num *= BigInt(PPM + rate.ratePpm);
      den *= BigInt(PPM);
    } else {
      simplePpm += rate.ratePpm;
      num += BigInt(rate.ratePpm);
    }
  }
  return num === den ? null : { num, den, simplePpm: compound ? 0 : simplePpm };
}

/** A place where nothing is taxed, or none at all. */
export const NOWHERE = new TaxPlace([], [], null, '');

/** @param at milliseconds since 1970 */
export function taxPlace(
  rates: readonly TaxRate[],
  zones: ReadonlyMap<string, Zone>,
  place: Place | null,
  at: number,
  exemption: TaxExemption | null = null,
): TaxPlace {
  if (place === null || rates.length === 0) return NOWHERE;
  let index = indexes.get(rates);
  if (index === undefined || index.zones !== zones) {
    index = new RateIndex(rates, zones);
    indexes.set(rates, index);
  }
  return index.place(place, at, exemption);
}

// Derived from an immutable list, and gone with it.
const indexes = new WeakMap<readonly TaxRate[], RateIndex>();

interface Country {
  readonly rates: number[];
  readonly regions: Map<string, number[]>;
  /** By length of the beginning, then by it. */
  readonly prefixes: Map<number, Map<string, number[]>>;
}

class RateIndex {
  readonly zones: ReadonlyMap<string, Zone>;
  readonly #rates: readonly TaxRate[];
  readonly #countries = new Map<string, Country>();
  /** Instants at which a rate begins or ends, rising. */
  readonly #instants: readonly number[];
  readonly #places = new Map<string, TaxPlace>();

  constructor(rates: readonly TaxRate[], zones: ReadonlyMap<string, Zone>) {
    this.zones = zones;
    this.#rates = rates;
    const instants = new Set<number>();
    rates.forEach((rate, index) => {
      if (rate.validity?.from !== undefined) instants.add(rate.validity.from);
      if (rate.validity?.until !== undefined) instants.add(rate.validity.until);
      if ('zone' in rate) this.#addZone(zones.get(rate.zone), index);
      else if (rate.region === null) this.#country(rate.country).rates.push(index);
      else put(this.#country(rate.country).regions, rate.region, index);
    });
    this.#instants = [...instants].sort((a, b) => a - b);
  }

  place(place: Place, at: number, exemption: TaxExemption | null): TaxPlace {
    const { country, region = '', postalCode } = place;
    const known = this.#countries.get(country);
    if (known === undefined) return NOWHERE;
    // Where no rate asks for it, a postal code makes no place of its own.
    const code = postalCode === undefined || known.prefixes.size === 0 ? '' : postalKey(postalCode);
    if (exemption !== null || code.length > 20 || region.length > 20)
      return this.#find(known, place, code, at, exemption);
    const key = `${country} ${region} ${code} ${this.#interval(at)}`;
    let found = this.#places.get(key);
    if (found === undefined) {
      found = this.#find(known, place, code, at, null);
      if (this.#places.size >= PLACES_MAX) this.#places.clear();
      this.#places.set(key, found);
    }
    return found;
  }

  #interval(at: number): number {
    const instants = this.#instants;
    if (instants.length === 0) return 0;
    let low = 0;
    let high = instants.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((instants[middle] as number) <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #find(known: Country, place: Place, code: string, at: number, exemption: TaxExemption | null): TaxPlace {
    const found = new Set(known.rates);
    for (const index of known.regions.get(place.region ?? '') ?? []) found.add(index);
    for (const [length, prefixes] of known.prefixes) {
      if (code.length < length) continue;
      for (const index of prefixes.get(code.slice(0, length)) ?? []) found.add(index);
    }
    const here = [...found].filter((index) => {
      const rate = this.#rates[index];
      if (rate === undefined || !isValid(rate.validity, at)) return false;
      // The index knows a zone's regions and postal codes apart; together they are the zone's own matter.
      const zone = 'zone' in rate ? this.zones.get(rate.zone) : undefined;
      return zone === undefined || inZone(zone, place);
    });
    here.sort((a, b) => a - b);
    return new TaxPlace(this.#rates, here, exemption, place.country);
  }

  #addZone(zone: Zone | undefined, index: number): void {
    for (const { country, regions, postalPrefixes } of zone?.parts ?? []) {
      const known = this.#country(country);
      if (postalPrefixes !== undefined) {
        for (const prefix of postalPrefixes) {
          let same = known.prefixes.get(prefix.length);
          if (same === undefined) {
            same = new Map();
            known.prefixes.set(prefix.length, same);
          }
          put(same, prefix, index);
        }
      } else if (regions !== undefined) {
        for (const region of regions) put(known.regions, region, index);
      } else known.rates.push(index);
    }
  }

  #country(code: string): Country {
    let country = this.#countries.get(code);
    if (country === undefined) {
      country = { rates: [], regions: new Map(), prefixes: new Map() };
      this.#countries.set(code, country);
    }
    return country;
  }
}

function put(map: Map<string, number[]>, key: string, index: number): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [index]);
  else list.push(index);
}
