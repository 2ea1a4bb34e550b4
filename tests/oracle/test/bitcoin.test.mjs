import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { answer, block, network, script } from '../src/bitcoin.mjs';

const vectors = (name) => JSON.parse(readFileSync(new URL(`../../../crates/chains/tests/vectors/${name}`, import.meta.url)));
const mainnet = network('mainnet');
const regtest = network('regtest');

test('a block that the node described itself', () => {
  const { hash, previous, time, merkle_root, raw, transactions } = vectors('bitcoin-regtest-block.json');
  const read = block(Uint8Array.from(Buffer.from(raw, 'hex')), regtest);
  assert.deepEqual([read.hash, read.parent, read.time, read.root], [hash, previous, time, merkle_root]);
  assert.equal(read.said_root, read.root);
  assert.equal(read.commitment.said, read.commitment.found);
  assert.equal(read.transactions.length, transactions.length);
});

test('addresses of the standards that are ours pay their scripts', () => {
  const valid = [...vectors('bip-0173.json').valid_addresses, ...vectors('bip-0350.json').valid_addresses];
  let read = 0;
  for (const { address, script_pubkey } of valid) {
    for (const net of [mainnet, network('testnet')]) {
      const found = answer({ address }, net);
      if (found.error !== undefined) continue;
      assert.equal(found.script, script_pubkey, address);
      read += 1;
    }
  }
  assert.ok(read >= 6, `${read} read`);
});

test('invalid addresses of the standards are refused', () => {
  for (const file of ['bip-0173.json', 'bip-0350.json']) {
    for (const { text } of vectors(file).invalid_addresses) {
      for (const net of [mainnet, network('testnet')]) assert.ok(answer({ address: text }, net).error, text);
    }
  }
});

test('taproot addresses of BIP-341', () => {
  const list = vectors('bip-0341.json').script_pubkeys;
  assert.equal(list.length, 7);
  for (const { address, script_pubkey } of list) assert.equal(script(address, mainnet).script, script_pubkey);
});

test('a program behind a longer push than it needs pays nobody', () => {
  const program = '751e76e8199196d454941c45d1b3a323f1433bd6';
  const kind = (hex) => answer({ ask: 'script', hex }, mainnet).kind;
  assert.equal(kind(`0014${program}`), 'wpkh');
  assert.equal(kind(`004c14${program}`), 'unknown');
});

test('bytes that are no transaction are answered with an error', () => {
  assert.ok(answer({ ask: 'transaction', hex: '0200' }, regtest).error);
  assert.ok(answer({ ask: 'block', hex: '00' }, regtest).error);
});
