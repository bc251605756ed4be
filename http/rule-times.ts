/**
 * Times in rules: the contract's RFC 3339 outside, milliseconds since 1970 inside. A text that is no such time stays what no rule
 * can be, and the refusal says what was expected in the contract's words.
 */
import type { RuleError } from '../schema/rule-fields.ts';

type Fields = Readonly<Record<string, unknown>>;
type Convert = (value: unknown) => unknown;

const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const TIME_PATH = /\/(validity\/(from|until)|changes\/\d+\/at)$/;

const toInstant: Convert = (value) => {
  const instant = typeof value === 'string' && TIME.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(instant) ? null : instant;
};
const toText: Convert = (value) => (typeof value === 'number' ? new Date(value).toISOString() : value);

/** From what a client sends; of any form. */
export function storedTimes(document: unknown): unknown {
  return withTimes(document, toInstant);
}

/** From what is stored. */
export function shownTimes(document: unknown): Fields {
  return withTimes(document, toText) as Fields;
}

/** The error in the contract's words. */
export function timeError({ path, message }: RuleError): RuleError {
  if (!TIME_PATH.test(path) || !message.startsWith('must be a whole number')) return { path, message };
  return { path, message: 'must be a time such as 2026-11-27T08:00:00.000Z (RFC 3339, UTC, milliseconds)' };
}

function withTimes(document: unknown, convert: Convert): unknown {
  if (!isFields(document)) return document;
  const { validity, entries } = document;
  return {
    ...document,
    ...(isFields(validity) ? { validity: converted(validity, ['from', 'until'], convert) } : undefined),
    ...(isFields(entries) ? { entries: mapped(entries, (entry) => withChanges(entry, convert)) } : undefined),
  };
}

function withChanges(entry: unknown, convert: Convert): unknown {
  if (!isFields(entry) || !Array.isArray(entry.changes)) return entry;
  return {
    ...entry,
    changes: entry.changes.map((change) => (isFields(change) ? converted(change, ['at'], convert) : change)),
  };
}

function converted(fields: Fields, names: readonly string[], convert: Convert): Fields {
  const all: Record<string, unknown> = { ...fields };
  for (const name of names) if (all[name] !== undefined) all[name] = convert(all[name]);
  return all;
}

function mapped(fields: Fields, change: Convert): Fields {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, change(value)]));
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
