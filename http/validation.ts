/**
 * From bytes and text to validated input. Text is UTF-8 or refused; NUL and lone surrogates are refused wherever a person's
 * text can come from (the database keeps neither); numbers are finite because the schemas' checks say so; depth is bounded
 * before anything walks the value. Valid input takes the compiled check alone; errors are listed only for the answer.
 */
import { isUtf8 } from 'node:buffer';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/schema';
import type { InputError } from './problem.ts';

/** Errors that one answer lists at most. */
export const ERRORS_MAX = 10;
/** Nesting that a JSON body may have. */
export const DEPTH_MAX = 32;
/** Pairs that a query may have. */
const QUERY_PAIRS_MAX = 32;
/** What is quoted back of a path in the input. */
const POINTER_LENGTH_MAX = 120;

export type Parsed = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly detail: string };

const refuse = (detail: string): Parsed => ({ ok: false, detail });

/** A JSON text from the bytes of a body. The bytes may be a view of memory that is gone after this call. */
export function parseJson(bytes: Buffer): Parsed {
  if (!isUtf8(bytes)) return refuse('The body is not UTF-8.');
  const text = bytes.toString();
  if (text.length > 2 * DEPTH_MAX && isDeep(text)) return refuse(`The body is nested deeper than ${DEPTH_MAX} levels.`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse('The body is not JSON.');
  }
  // NUL and surrogates can come only by an escape: raw control characters are no JSON, and the bytes are valid UTF-8
  if (text.includes('\\u') && !isCleanDeep(value)) return refuse('The body holds a NUL or half of a surrogate pair.');
  return { ok: true, value };
}

function isDeep(text: string): boolean {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (quoted) {
      if (code === 0x5c) i++;
      else if (code === 0x22) quoted = false;
    } else if (code === 0x22) quoted = true;
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > DEPTH_MAX) return true;
    } else if (code === 0x7d || code === 0x5d) depth--;
  }
  return false;
}

function isCleanDeep(value: unknown): boolean {
  if (typeof value === 'string') return isCleanText(value);
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isCleanDeep);
  return Object.entries(value).every(([name, field]) => isCleanText(name) && isCleanDeep(field));
}

const LONE_SURROGATE = /\p{Surrogate}/u;

export function isCleanText(text: string): boolean {
  return !text.includes('\0') && !LONE_SURROGATE.test(text);
}

/** A percent-encoded part of the target; null where it is not valid. `plus`: a query, where `+` is a space. */
export function decodePart(raw: string, plus: boolean): string | null {
  for (let i = 0; i < raw.length; i++) {
    const code = raw.charCodeAt(i);
    if (code < 0x21 || code > 0x7e) return null;
  }
  let text = raw;
  if (plus && text.includes('+')) text = text.replaceAll('+', ' ');
  if (!text.includes('%')) return text;
  try {
    text = decodeURIComponent(text);
  } catch {
    return null;
  }
  return text.includes('\0') ? null : text;
}

/** A compiled schema, and its errors as the contract shows them. */
export class Checker {
  readonly #validator: ReturnType<typeof Compile>;

  constructor(schema: TSchema) {
    this.#validator = Compile(schema);
  }

  accepts(value: unknown): boolean {
    return this.#validator.Check(value);
  }

  /** @param prefix `''` for a body, `/query` or `/params` for those */
  errors(value: unknown, prefix: string): InputError[] {
    const found = new Map<string, string>();
    const [, told] = this.#validator.Errors(value);
    for (const error of told) {
      const { instancePath, message } = error;
      if (error.keyword === 'required')
        for (const name of error.params.requiredProperties)
          found.set(`${instancePath}/${pointerPart(name)}`, 'is required');
      else if (error.keyword === 'additionalProperties')
        for (const name of error.params.additionalProperties)
          found.set(`${instancePath}/${pointerPart(name)}`, 'is not a known field');
      else if (error.keyword !== 'boolean' && !found.has(instancePath)) found.set(instancePath, message);
    }
    const errors: InputError[] = [];
    for (const [path, message] of found) {
      if (errors.length === ERRORS_MAX) break;
      errors.push({ path: `${prefix}${path}`.slice(0, POINTER_LENGTH_MAX), message });
    }
    return errors;
  }
}

/** RFC 6901. */
function pointerPart(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

type Convert = (text: string) => unknown;
type PropertySchema = { readonly type?: string; readonly items?: PropertySchema };

/** Reads a query string as its schema says. */
export class QueryReader {
  readonly #checker: Checker;
  readonly #converts = new Map<string, Convert>();

  constructor(schema: TSchema) {
    this.#checker = new Checker(schema);
    const { properties = {} } = schema as { properties?: Readonly<Record<string, PropertySchema>> };
    for (const [name, property] of Object.entries(properties)) this.#converts.set(name, convertTo(property));
  }

  read(raw: string): { readonly value: unknown } | { readonly errors: readonly InputError[] } {
    const query: Record<string, unknown> = {};
    const pairs = raw === '' ? [] : raw.split('&');
    if (pairs.length > QUERY_PAIRS_MAX) return { errors: [{ path: '/query', message: 'has too many parameters' }] };
    for (const pair of pairs) {
      if (pair === '') continue;
      const equals = pair.indexOf('=');
      const name = decodePart(equals < 0 ? pair : pair.slice(0, equals), true);
      const text = decodePart(equals < 0 ? '' : pair.slice(equals + 1), true);
      if (name === null || text === null)
        return { errors: [{ path: '/query', message: 'is not valid percent-encoded UTF-8' }] };
      const path = `/query/${pointerPart(name)}`.slice(0, POINTER_LENGTH_MAX);
      const convert = this.#converts.get(name);
      if (convert === undefined) return { errors: [{ path, message: 'is not a known parameter' }] };
      if (Object.hasOwn(query, name)) return { errors: [{ path, message: 'is given more than once' }] };
      query[name] = convert(text);
    }
    if (this.#checker.accepts(query)) return { value: query };
    return { errors: this.#checker.errors(query, '/query') };
  }
}

/** What does not convert stays text, and the schema's check tells what was expected. */
function convertTo(property: PropertySchema): Convert {
  switch (property.type) {
    case 'integer':
    case 'number':
      return (text) => (/^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : text);
    case 'boolean':
      return (text) => (text === 'true' ? true : text === 'false' ? false : text);
    case 'array': {
      const convert = convertTo(property.items ?? {});
      return (text) => (text === '' ? [] : text.split(',').map(convert));
    }
    default:
      return (text) => text;
  }
}
