import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { secp256k1 } from '@noble/curves/secp256k1';
import { HDKey } from '@scure/bip32';
import { mnemonicToSeedSync } from '@scure/bip39';
import { addresses, eip55, slip10, slip10Master, vault } from '../src/kinds.mjs';
import { addMultiples } from '../src/multiples.mjs';

const MNEMONIC = `${'abandon '.repeat(11)}about`;
const vectors = (name) => JSON.parse(readFileSync(new URL(`../../../crates/chains/tests/vectors/${name}`, import.meta.url)));
const { Point } = secp256k1;

for (const [file, kind] of [['bip-0084.json', 'bitcoin'], ['bip-0086.json', 'bitcoin_taproot']]) {
  test(`${file}: receiving addresses`, () => {
    const receiving = vectors(file).addresses.filter(({ path }) => path.includes("/0'/0/"));
    assert.equal(receiving.length, 2);
    assert.deepEqual(addresses(vault(MNEMONIC), kind, [0, 1]), receiving.map(({ address }) => address));
  });
}

test('EIP-55 vectors', () => {
  const list = vectors('eip-55.json').addresses;
  assert.equal(list.length, 8);
  for (const { address } of list) assert.equal(eip55(Buffer.from(address.slice(2), 'hex')), address);
});

test('first addresses of the standards’ mnemonic, as wallets show them', () => {
  const keys = vault(MNEMONIC);
  assert.deepEqual(addresses(keys, 'evm', [0]), ['0x9858EfFD232B4033E47d90003D41EC34EcaEda94']);
  assert.deepEqual(addresses(keys, 'tron', [0]), ['TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH']);
  assert.deepEqual(addresses(keys, 'solana', [0]), ['HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk']);
});

test('children are those of @scure/bip32 one by one, at the ends of the range too', () => {
  const account = HDKey.fromMasterSeed(mnemonicToSeedSync(MNEMONIC)).derive("m/84'/1'/3'/0");
  const indexes = [0, 1, 2, 255, 65_536, 2 ** 31 - 1];
  const keys = vault(MNEMONIC, { account: 3, network: 'regtest' });
  assert.deepEqual(keys.bitcoin.publicKey, account.publicKey);
  const found = addresses(keys, 'bitcoin', indexes);
  const alone = indexes.map((index) => addresses({ ...keys, bitcoin: account }, 'bitcoin', [index])[0]);
  assert.deepEqual(found, alone);
  assert.ok(found.every((address) => address.startsWith('bcrt1q')));
  for (const index of [-1, 0.5, 2 ** 31]) assert.throws(() => addresses(keys, 'bitcoin', [index]), /out of range/);
});

test('sums of points are those of noble-curves, also where points meet', () => {
  const at = (scalar) => Point.BASE.multiply(scalar).toAffine();
  const order = Point.Fn.ORDER;
  const pairs = [[5n, 5n], [5n, 6n], [7n, 0n], [1n, order - 2n], [1n, 4096n], [4096n, 4096n], [order - 1n, order - 1n], [3n, 2n ** 255n]];
  for (let i = 1n; i < 60n; i += 1n) pairs.push([(i * 2n ** 77n + 11n) ** 3n % order, (i * 2n ** 99n + 7n) ** 3n % order]);
  const found = addMultiples(pairs.map(([start]) => at(start)), pairs.map(([, scalar]) => scalar));
  assert.deepEqual(found, pairs.map(([start, scalar]) => at((start + scalar) % order)));
  assert.throws(() => addMultiples([at(5n)], [order - 5n]));
});

// https://github.com/satoshilabs/slips/blob/master/slip-0010.md, test vector 1 for ed25519
test('SLIP-10 vector', () => {
  const master = slip10Master(Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex'));
  assert.equal(master.key.toString('hex'), '2b4be7f19ee27bbf30c667b642d5f4aa69fd169872f8fc3059c08ebae2eb19e7');
  assert.equal(master.chainCode.toString('hex'), '90046a93de5380a72b5e45010748567d5ea02bbf6522f979e05c0d8d8ca9fffb');
  const child = slip10(slip10(master, 0), 1);
  assert.equal(child.key.toString('hex'), 'b1d0bad404bf35da785a64ca1ac54b2617211d2777696fbffaf208f746ae84f2');
});

test('accounts have their own Solana addresses', () => {
  const first = addresses(vault(MNEMONIC), 'solana', [2 ** 25 - 1, 0]);
  assert.notEqual(addresses(vault(MNEMONIC, { account: 1 }), 'solana', [0])[0], first[1]);
  assert.throws(() => addresses(vault(MNEMONIC), 'solana', [2 ** 25]), /out of range/);
});

test('a wrong mnemonic is refused', () => {
  assert.throws(() => vault(MNEMONIC.replace('about', 'above')), /not a valid/);
});
