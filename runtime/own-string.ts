/**
 * Strings with memory of their own. V8 does not copy what is cut from a longer string: a piece of 13 characters or more refers to the whole for
 * as long as it lives. A decoder that reads a message as one string and cuts its items from it (msgpackr with its native part) so
 * leaves a cart's id that holds a message of 6 KB. What is kept for long is copied; what lives as long as a call is not worth it.
 */

/** V8's `SlicedString::kMinLength`: shorter pieces are copies already. */
const CUT_FROM = 13;
const SCRATCH_BYTES = 4_096;
const scratch = Buffer.alloc(SCRATCH_BYTES);

/** The same text. A lone surrogate becomes U+FFFD, as in whatever is written as UTF-8. */
export function ownString(text: string): string {
  if (text.length < CUT_FROM) return text;
  // UTF-8 takes 3 bytes for a unit of a string at most.
  if (text.length * 3 > SCRATCH_BYTES) return Buffer.from(text).toString();
  const bytes = scratch.write(text);
  return scratch.toString(bytes === text.length ? 'latin1' : 'utf8', 0, bytes);
}

/** Replaces each string in a value that was just decoded, in place where it is an object or a list. Names of fields stay: they are short. */
export function ownStrings(value: unknown): unknown {
  if (typeof value === 'string') return ownString(value);
  if (Array.isArray(value)) for (let at = 0; at < value.length; at++) value[at] = ownStrings(value[at]);
  else if (isRecord(value)) for (const name in value) value[name] = ownStrings(value[name]);
  return value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
