import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';

const ORACLE = fileURLToPath(new URL('../oracle.mjs', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'oracle-'));
const mnemonicFile = join(dir, 'mnemonic');
writeFileSync(mnemonicFile, `# the standards' own, holds no money\n${'abandon '.repeat(11)}about\n`);
after(() => rmSync(dir, { recursive: true }));

const oracle = (...args) => spawnSync(process.execPath, [ORACLE, ...args, '--mnemonic-file', mnemonicFile], { encoding: 'utf8' });
const derive = (kind, count) => oracle('derive', '--kind', kind, '--count', String(count)).stdout.trim().split('\n');

const KINDS = ['evm', 'tron', 'bitcoin', 'bitcoin_taproot', 'solana'];
const columns = KINDS.map((kind) => derive(kind, 40));

/** A results file of 40 wallets; row 3 failed, row 5 has no address shown, names are awkward. */
function results(change = (lines) => lines) {
  const lines = columns[0].map((_, i) => {
    const name = `"customer, ""${i}""\nof two lines"`;
    if (i === 2) return `3,${name},failed,,,,,,,,"line 4, column 2: not an id"`;
    const cells = columns.map((column) => (i === 4 ? '' : column[i]));
    return [i + 1, name, i % 7 === 6 ? 'existing' : 'created', `wal_${i}`, i, ...cells, ''].join(',');
  });
  const path = join(dir, 'results.csv');
  writeFileSync(path, `row,external_id,status,wallet_id,index,${KINDS.join(',')},error\n${change(lines).join('\n')}\n`);
  return path;
}

function check(path, ...more) {
  const { status, stdout, stderr } = oracle('check', '--results', path, ...more);
  return { status, stderr, report: stdout ? JSON.parse(stdout) : undefined };
}

test('equal addresses', () => {
  const { status, report } = check(results());
  assert.deepEqual(report, { checked: 38 * 5, rows: 39, without_address: 5, mismatch_count: 0, mismatches: [] });
  assert.equal(status, 0);
});

test('a changed address, a swapped pair and a wrong index are found', () => {
  const changed = results((lines) => {
    const swapped = [...lines];
    swapped[10] = lines[10].replace(columns[0][10], columns[0][11]);
    swapped[20] = lines[20].replace(',20,0x', ',21,0x');
    return swapped;
  });
  const { status, report } = check(changed);
  assert.equal(status, 1);
  assert.equal(report.mismatch_count, 1 + 5);
  const [first] = report.mismatches;
  assert.deepEqual(
    [first.row, first.kind, first.expected, first.found],
    ['11', 'evm', columns[0][10], columns[0][11]],
  );
});

test('a sample takes evenly spread rows, first and last among them', () => {
  const last = results((lines) => lines.map((line, i) => (i === 39 ? line.replace(columns[1][39], columns[1][0]) : line)));
  const { status, report } = check(last, '--sample', '5');
  assert.deepEqual([status, report.rows, report.mismatch_count], [1, 5, 1]);
  assert.equal(check(results(), '--sample', '1000').report.rows, 39);
});

test('another account or network is a mismatch', () => {
  assert.equal(check(results(), '--account', '1').report.mismatch_count, 38 * 5);
  assert.equal(check(results(), '--network', 'testnet').report.mismatch_count, 38 * 2);
});

test('nothing to compare is no success; wrong use is exit code 2', () => {
  assert.equal(check(results((lines) => [lines[2]])).status, 1);
  writeFileSync(join(dir, 'other.csv'), 'a,b\n1,2\n');
  assert.deepEqual([check(join(dir, 'other.csv')).status, check(join(dir, 'absent.csv')).status], [2, 2]);
  assert.equal(oracle('derive', '--kind', 'doge', '--count', '1').status, 2);
  assert.equal(oracle('derive', '--kind', 'evm', '--count', '-1').status, 2);
});

test('derive prints the asked range', () => {
  const { stdout } = oracle('derive', '--kind', 'bitcoin-taproot', '--first', '38', '--count', '2');
  assert.deepEqual(stdout.trim().split('\n'), columns[3].slice(38));
});
