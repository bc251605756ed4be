/**
 * Zones: named parts of the world that tax rates, shipping methods and promotions refer to by id. What is in a zone is decided
 * by `inZone`, here, so that all of them agree.
 */

export interface ZonePart {
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
  /** Second halves of ISO 3166-2 codes ("TX"); left out: the whole country. */
  readonly regions?: readonly string[];
  /** Beginnings of postal codes, upper case without spaces and hyphens; left out: any, also none. At most 1,000. */
  readonly postalPrefixes?: readonly string[];
}

export interface Zone {
  /** 1 to 64 of A-Z a-z 0-9 . _ -. */
  readonly id: string;
  readonly name: string;
  /** A place is in the zone when it is in one of these; 1 to 300. */
  readonly parts: readonly ZonePart[];
}

export interface Place {
  readonly country: string;
  readonly region?: string;
  readonly postalCode?: string;
}

/** Region and postal code narrow: a place that does not say them is in no part that asks for them. */
export function inZone(zone: Zone, place: Place): boolean {
  return zone.parts.some((part) => inPart(part, place));
}

export function inPart({ country, regions, postalPrefixes }: ZonePart, place: Place): boolean {
  if (country !== place.country) return false;
  if (regions !== undefined && (place.region === undefined || !regions.includes(place.region))) return false;
  if (postalPrefixes === undefined) return true;
  if (place.postalCode === undefined) return false;
  const code = postalKey(place.postalCode);
  return postalPrefixes.some((prefix) => code.startsWith(prefix));
}

/** Postal codes are compared in upper case without spaces and hyphens. */
export function postalKey(typed: string): string {
  return typed.toUpperCase().replace(/[\s-]/g, '');
}
