/**
 * The headers of an answer as one value with line breaks in it, so that one native call writes them all. Every part is checked for breaks
 * of its own.
 */

const JSON_TYPE = 'application/json';
const PLAIN_JSON_BLOCK = `nosniff\r\ncontent-type: ${JSON_TYPE}\r\ncache-control: no-store`;
const BARE_BLOCK = 'nosniff\r\ncache-control: no-store';
const UNSAFE_IN_HEADER = /[^\t\x20-\x7e]/;

/**
 * The value of `x-content-type-options` and behind it every other header. Safe defaults for API answers, replaced by name.
 * @throws RangeError where a value has a character that no header may have
 * @param hasBody false: nothing is said of a type, for clients parse what says that it is JSON
 */
export function headerBlock(headers: Readonly<Record<string, string>> | undefined, hasBody: boolean): string {
  if (headers === undefined) return hasBody ? PLAIN_JSON_BLOCK : BARE_BLOCK;
  let block = 'nosniff';
  let typed = !hasBody;
  let cached = false;
  for (const given in headers) {
    const name = given.toLowerCase();
    const value = headers[given] ?? '';
    if (UNSAFE_IN_HEADER.test(value))
      throw new RangeError(`the header ${name} has a character that no header may have`);
    if (name === 'content-type') typed = true;
    else if (name === 'cache-control') cached = true;
    block += `\r\n${name}: ${value}`;
  }
  if (!typed) block += `\r\ncontent-type: ${JSON_TYPE}`;
  if (!cached) block += '\r\ncache-control: no-store';
  return block;
}
