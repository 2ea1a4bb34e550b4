import assert from 'node:assert/strict';
import test from 'node:test';
import { records, rows } from '../src/csv.mjs';

async function all(source) {
  const out = [];
  for await (const item of source) out.push(item);
  return out;
}

test('quotes, commas, line breaks and empty fields', async () => {
  const text = 'a,b,c\r\n"x, y","say ""hi""","two\r\nlines"\n,,\n"",é,最后';
  const expected = [['a', 'b', 'c'], ['x, y', 'say "hi"', 'two\r\nlines'], ['', '', ''], ['', 'é', '最后']];
  assert.deepEqual(await all(records([text])), expected);
  assert.deepEqual(await all(records([...text])), expected, 'a chunk may end anywhere');
});

test('blank lines are skipped, broken files refused', async () => {
  assert.deepEqual(await all(records(['a\n\nb\n'])), [['a'], ['b']]);
  await assert.rejects(all(records(['a,"b'])), /inside quotes/);
  await assert.rejects(all(records(['"a"b'])), /closing quote/);
  await assert.rejects(all(rows(['a,b\n1\n'])), /1 fields/);
});

test('rows are keyed by the header', async () => {
  assert.deepEqual(await all(rows(['\uFEFFrow,status\n1,created\n'])), [['row', 'status'], { row: '1', status: 'created' }]);
});
