import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { quickenStringMethods } from './string-methods.ts';

setFlagsFromString('--allow-natives-syntax');
const isFast = new Function('object', 'return %HasFastProperties(object)') as (object: object) => boolean;

/** As ioredis does with its `VerbatimString`. */
function extendString(): object {
  return class extends String {};
}

test('string methods are found fast again after a class has extended String, and stay so', () => {
  extendString();
  assert.equal(isFast(String.prototype), false, 'extending String slows it down; if not, all of this can go');
  quickenStringMethods();
  assert.equal(isFast(String.prototype), true);
  extendString();
  assert.equal(isFast(String.prototype), true);
});
