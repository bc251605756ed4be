/**
 * Rules of one kind as a file: NDJSON, a document in a line with the field that names it, as the export writes it. An import
 * creates or replaces what it names, all or none, and leaves the rest; what is wrong is told with the number of its line.
 */
import { RULE_CHANGES_MAX, type RuleChange } from '../schema/rule-changes.ts';
import type { RuleError } from '../schema/rule-fields.ts';
import type { StoredRule } from '../schema/rule-rows.ts';
import { type ImportErrors, importError, ndjsonRows } from './import-rows.ts';
import type { InputError } from './problem.ts';
import type { RuleResource } from './rule-resources.ts';
import { shownTimes, storedTimes, timeError } from './rule-times.ts';
import { ERRORS_MAX } from './validation.ts';

export const RULE_IMPORT_BYTES_MAX = 8 * 1024 * 1024;

export interface RuleFile {
  readonly changes: readonly RuleChange[];
  /** From where the rules' check finds an error to where it stands in the file. */
  readonly placed: (error: RuleError) => InputError;
}

export function readRules(bytes: Uint8Array, { kind, id: field, idOf }: RuleResource): RuleFile | ImportErrors {
  const read = ndjsonRows(bytes, RULE_CHANGES_MAX);
  if ('errors' in read) return read;
  const { rows } = read;
  if (rows.length === 0) return importError('', 'holds no document');
  if (rows.length > RULE_CHANGES_MAX) return importError('', `must hold at most ${RULE_CHANGES_MAX} documents`);
  const errors: InputError[] = [];
  const lineOf = new Map<string, number>();
  const changes: RuleChange[] = [];
  for (const { line, value } of rows) {
    const place = `/lines/${line}`;
    const given = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[field] : undefined;
    const id = typeof given === 'string' ? idOf(given) : null;
    const before = id === null ? undefined : lineOf.get(id);
    if (id === null) errors.push({ path: `${place}/${field}`, message: 'must be text that names the document' });
    else if (before !== undefined) errors.push({ path: `${place}/${field}`, message: `is on line ${before} already` });
    else {
      lineOf.set(id, line);
      const document = storedTimes(value);
      changes.push({ kind, id, place, edit: () => document });
    }
    if (errors.length >= ERRORS_MAX) break;
  }
  return errors.length > 0 ? { errors } : { changes, placed: timeError };
}

/** What `readRules` reads again. */
export function writeRuleFile(rules: readonly StoredRule[]): string {
  return rules.map(({ doc }) => `${JSON.stringify(shownTimes(doc))}\n`).join('');
}
