// Bitcoin's transactions, blocks and addresses, read by @scure/btc-signer; hashes are OpenSSL's.

import { createHash } from 'node:crypto';
import { Address, NETWORK, OutScript, RawTx, TEST_NETWORK } from '@scure/btc-signer';

const NETWORKS = {
  mainnet: NETWORK,
  testnet: TEST_NETWORK,
  signet: TEST_NETWORK,
  regtest: { ...TEST_NETWORK, bech32: 'bcrt' },
};
const HEADER_BYTES = 80;
const COMMITMENT = '6a24aa21a9ed';

const sha256 = (bytes) => createHash('sha256').update(bytes).digest();
const sha256d = (bytes) => sha256(sha256(bytes));
const hex = (bytes) => Buffer.from(bytes).toString('hex');
/** As nodes print a hash: the last byte first. */
const printed = (hash) => Buffer.from(hash).reverse().toString('hex');

export function network(name) {
  if (!(name in NETWORKS)) throw new Error(`--network must be one of ${Object.keys(NETWORKS).join(', ')}`);
  return NETWORKS[name];
}

/** A reader of the bytes of a block, whose transactions lie one behind the other without their lengths. */
class Bytes {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  take(count) {
    if (count > this.bytes.length - this.at) throw new Error('the bytes end too early');
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  /** Bitcoin's length: one byte, or a mark and two, four or eight. */
  count() {
    const first = this.take(1)[0];
    if (first < 0xfd) return first;
    const wide = first === 0xfd ? 2 : first === 0xfe ? 4 : 8;
    const value = this.take(wide).readUIntLE(0, Math.min(wide, 6));
    if (wide === 8) throw new Error('a length beyond anything that is real');
    return value;
  }

  skip() {
    this.take(this.count());
  }

  /** The bytes of one transaction; only its bounds are looked for here. */
  transaction() {
    const begins = this.at;
    this.take(4);
    let inputs = this.count();
    const hasWitness = inputs === 0;
    if (hasWitness) {
      if (this.take(1)[0] !== 1) throw new Error('a mark of witnesses that nobody knows');
      inputs = this.count();
    }
    for (let i = 0; i < inputs; i++) {
      this.take(36);
      this.skip();
      this.take(4);
    }
    for (let i = this.count(); i > 0; i--) {
      this.take(8);
      this.skip();
    }
    if (hasWitness) {
      for (let i = 0; i < inputs; i++) for (let items = this.count(); items > 0; items--) this.skip();
    }
    this.take(4);
    return this.bytes.subarray(begins, this.at);
  }
}

/**
 * What the library takes a script for. It also takes a program behind a longer push for the program, which BIP-141
 * does not: a script that it would not write itself is none of its kinds.
 */
function decodeScript(script) {
  try {
    const decoded = OutScript.decode(script);
    if (hex(OutScript.encode(decoded)) === hex(script)) return decoded;
  } catch {
    // Bytes that are no script at all.
  }
  return { type: 'unknown' };
}

/** The address that a script pays, where there is one. */
function addressOf(script, net) {
  const decoded = decodeScript(script);
  const named = ['pkh', 'sh', 'wpkh', 'wsh', 'tr'].includes(decoded.type);
  return { kind: decoded.type, address: named ? Address(net).encode(decoded) : null };
}

export function transaction(raw, net) {
  const read = RawTx.decode(raw);
  const bare = RawTx.encode({ ...read, segwitFlag: false, witnesses: undefined });
  return {
    txid: printed(sha256d(bare)),
    wtxid: printed(sha256d(raw)),
    inputs: read.inputs.map((input) => `${hex(input.txid)}:${input.index}`),
    outputs: read.outputs.map((output) => ({
      sats: String(output.amount),
      script: hex(output.script),
      ...addressOf(output.script, net),
    })),
  };
}

function root(hashes) {
  let level = hashes;
  while (level.length > 1) {
    const above = [];
    for (let i = 0; i < level.length; i += 2) {
      above.push(sha256d(Buffer.concat([level[i], level[i + 1] ?? level[i]])));
    }
    level = above;
  }
  return level[0];
}

const bytesOf = (text) => Buffer.from(text, 'hex').reverse();

/** What the coinbase commits to, and what its block's witnesses come to. */
function commitment(raws, transactions) {
  const found = transactions[0].outputs.findLast((output) => output.script.startsWith(COMMITMENT));
  if (found === undefined) return null;
  const reserved = RawTx.decode(raws[0]).witnesses?.[0]?.[0];
  if (reserved === undefined) return null;
  const wtxids = transactions.map((one, at) => (at === 0 ? Buffer.alloc(32) : bytesOf(one.wtxid)));
  const own = sha256d(Buffer.concat([root(wtxids), reserved]));
  return { said: found.script.slice(COMMITMENT.length, COMMITMENT.length + 64), found: hex(own) };
}

export function block(raw, net) {
  const bytes = new Bytes(Buffer.from(raw));
  const header = bytes.take(HEADER_BYTES);
  const raws = Array.from({ length: bytes.count() }, () => bytes.transaction());
  if (bytes.at !== raw.length) throw new Error('something is behind the last transaction');
  const transactions = raws.map((one) => transaction(Uint8Array.from(one), net));
  return {
    hash: printed(sha256d(header)),
    parent: printed(header.subarray(4, 36)),
    said_root: printed(header.subarray(36, 68)),
    root: printed(root(transactions.map((one) => bytesOf(one.txid)))),
    time: header.readUInt32LE(68),
    commitment: commitment(raws, transactions),
    transactions,
  };
}

/** The script that an address pays. */
export function script(address, net) {
  return { script: hex(OutScript.encode(Address(net).decode(address))) };
}

/** One question, one answer; what cannot be read is an answer, too. */
export function answer(question, net) {
  try {
    if (question.address !== undefined) return script(question.address, net);
    const raw = Uint8Array.from(Buffer.from(question.hex, 'hex'));
    switch (question.ask) {
      case 'transaction':
        return transaction(raw, net);
      case 'block':
        return block(raw, net);
      case 'script':
        return addressOf(raw, net);
      default:
        throw new Error(`unknown question ${question.ask}`);
    }
  } catch (error) {
    return { error: error.message };
  }
}
