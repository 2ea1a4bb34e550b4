// From a mnemonic to addresses: one function per address kind, over batches of wallet indexes.

import { createHash, createHmac } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519';
import { schnorr, secp256k1 } from '@noble/curves/secp256k1';
import { ripemd160 } from '@noble/hashes/legacy';
import { keccak_256 } from '@noble/hashes/sha3';
import { base58, bech32, bech32m, createBase58check } from '@scure/base';
import { HDKey } from '@scure/bip32';
import { mnemonicToSeedSync, validateMnemonic } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english';
import { addMultiples } from './multiples.mjs';

export const COLUMNS = ['evm', 'tron', 'bitcoin', 'bitcoin_taproot', 'solana'];
const PREFIXES = { mainnet: 'bc', testnet: 'tb', signet: 'tb', regtest: 'bcrt' };
export const NETWORKS = Object.keys(PREFIXES);
const HARDENED = 0x8000_0000;
/** Wallets of one account on Solana: its path has no account level, so each account takes 2^25 children. */
const SOLANA_PER_ACCOUNT = 2 ** 25;

const { Point } = secp256k1;
const ORDER = Point.Fn.ORDER;
const sha256 = (bytes) => createHash('sha256').update(bytes).digest();
const base58check = createBase58check(sha256);

/** What a worker needs to derive addresses: extended public keys, and Solana's extended private key. */
export function vault(mnemonic, { account = 0, network = 'mainnet' } = {}) {
  if (!validateMnemonic(mnemonic, wordlist)) throw new Error('the mnemonic is not a valid English BIP-39 sentence');
  if (!(network in PREFIXES)) throw new Error(`unknown network ${network}`);
  const seed = mnemonicToSeedSync(mnemonic);
  const master = HDKey.fromMasterSeed(seed);
  const coin = network === 'mainnet' ? 0 : 1;
  const change = (purpose, coinType) => {
    const { publicKey, chainCode } = master.derive(`m/${purpose}'/${coinType}'/${account}'/0`);
    return { publicKey, chainCode };
  };
  return {
    account,
    prefix: PREFIXES[network],
    evm: change(44, 60),
    tron: change(44, 195),
    bitcoin: change(84, coin),
    bitcoin_taproot: change(86, coin),
    solana: slip10(slip10(slip10Master(seed), 44), 501),
  };
}

/** Addresses of one kind (a name of COLUMNS) for wallet indexes, in their order. */
export function addresses(keys, kind, indexes) {
  switch (kind) {
    case 'evm':
      return children(keys.evm, indexes).map((point) => eip55(keccak20(point)));
    case 'tron':
      return children(keys.tron, indexes).map((point) => base58check.encode(Uint8Array.of(0x41, ...keccak20(point))));
    case 'bitcoin':
      return children(keys.bitcoin, indexes).map((point) => segwit(bech32, keys.prefix, 0, ripemd160(sha256(compressed(point)))));
    case 'bitcoin_taproot':
      return outputKeys(children(keys.bitcoin_taproot, indexes)).map((key) => segwit(bech32m, keys.prefix, 1, key));
    case 'solana':
      return indexes.map((index) => base58.encode(solanaPublicKey(keys, index)));
    default:
      throw new Error(`unknown kind ${kind}`);
  }
}

/** BIP-32 CKDpub for many indexes: affine points {x, y}. */
function children({ publicKey, chainCode }, indexes) {
  const parent = Point.fromHex(publicKey).toAffine();
  const data = Buffer.concat([publicKey, Buffer.alloc(4)]);
  const scalars = indexes.map((index) => {
    if (!Number.isInteger(index) || index < 0 || index >= HARDENED) throw new Error(`index ${index} is out of range`);
    data.writeUInt32BE(index, 33);
    return scalar(createHmac('sha512', chainCode).update(data).digest().subarray(0, 32));
  });
  return addMultiples(indexes.map(() => parent), scalars);
}

/** BIP-86: the output key without script path, x only. */
function outputKeys(points) {
  const internal = points.map(({ x, y }) => ({ x, y: y % 2n === 0n ? y : Point.Fp.ORDER - y }));
  const tweaks = internal.map(({ x }) => scalar(schnorr.utils.taggedHash('TapTweak', bytes32(x))));
  return addMultiples(internal, tweaks).map(({ x }) => bytes32(x));
}

function scalar(bytes) {
  const value = BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  if (value >= ORDER) throw new Error('a child key is invalid (BIP-32); its index has no address');
  return value;
}

const bytes32 = (value) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex');
const compressed = ({ x, y }) => Buffer.concat([Uint8Array.of(y % 2n === 0n ? 2 : 3), bytes32(x)]);
const keccak20 = ({ x, y }) => keccak_256(Buffer.concat([bytes32(x), bytes32(y)])).subarray(12);
const segwit = (codec, prefix, version, program) => codec.encode(prefix, [version, ...codec.toWords(program)]);

export function eip55(payload) {
  const digits = Buffer.from(payload).toString('hex');
  const hash = Buffer.from(keccak_256(Buffer.from(digits))).toString('hex');
  return `0x${[...digits].map((digit, i) => (hash[i] >= '8' ? digit.toUpperCase() : digit)).join('')}`;
}

// SLIP-10 for Ed25519 (https://github.com/satoshilabs/slips/blob/master/slip-0010.md): hardened children only.

function split(hash) {
  return { key: hash.subarray(0, 32), chainCode: hash.subarray(32) };
}

export function slip10Master(seed) {
  return split(createHmac('sha512', 'ed25519 seed').update(seed).digest());
}

export function slip10(parent, index) {
  const data = Buffer.alloc(37);
  data.set(parent.key, 1);
  data.writeUInt32BE(index + HARDENED, 33);
  return split(createHmac('sha512', parent.chainCode).update(data).digest());
}

ed25519.Point.BASE.precompute(12, true);

function solanaPublicKey(keys, index) {
  if (!Number.isInteger(index) || index < 0 || index >= SOLANA_PER_ACCOUNT) throw new Error(`index ${index} is out of range`);
  const child = slip10(keys.solana, keys.account * SOLANA_PER_ACCOUNT + index);
  return ed25519.getPublicKey(slip10(child, 0).key);
}
