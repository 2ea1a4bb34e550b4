use bitcoin::hashes::{Hash, HashEngine, Hmac, HmacEngine, sha512};

use super::constants::SHA2;
use super::sha2::sha512::compress;
use super::{Column, Columns, LANES, run};
use crate::{Arch, ExtendedPublicKey};

/// HMAC-SHA512 under the chain code over key‖index, with the states after key and pads kept.
pub(crate) struct ChildHmac {
    inner: [u64; 8],
    outer: [u64; 8],
    /// What the crate keeps, with the public key already in.
    keyed: HmacEngine<sha512::Hash>,
    /// The words of the message with the public key, with zeros in the place of the index, and the bit behind it.
    key: [u64; 5],
}

impl ChildHmac {
    pub(crate) fn new(parent: &ExtendedPublicKey) -> Self {
        let mut keyed = HmacEngine::new(&parent.chain_code);
        keyed.input(&parent.public_key);
        let mut block = [0; 40];
        block[..33].copy_from_slice(&parent.public_key);
        block[37] = 0x80;
        Self {
            inner: state_after(parent, 0x36),
            outer: state_after(parent, 0x5c),
            keyed,
            key: words(&block),
        }
    }

    /// I_L of BIP-32 for consecutive indexes, big-endian, not yet compared with the group order.
    pub(crate) fn tweaks(&self, arch: Arch, first_index: u32, out: &mut [[u8; 32]]) {
        let hmac = self;
        run(
            arch,
            Tweaks {
                hmac,
                first_index,
                out,
            },
        );
    }
}

struct Tweaks<'a> {
    hmac: &'a ChildHmac,
    first_index: u32,
    out: &'a mut [[u8; 32]],
}

impl Columns for Tweaks<'_> {
    #[inline(always)]
    fn run(self) {
        let constants = &SHA2.rounds64;
        let mut first_index = self.first_index;
        let key = &self.hmac.key;
        for tweaks in self.out.chunks_mut(LANES) {
            let mut inner = columns(&self.hmac.inner);
            compress(constants, &mut inner, |word, lane| match word {
                0..4 => key[word],
                4 => {
                    let index = first_index.wrapping_add((LANES - 1 - lane) as u32);
                    key[4] | u64::from(index) << 24
                }
                15 => 8 * (128 + 37),
                _ => 0,
            });
            let mut outer = columns(&self.hmac.outer);
            compress(constants, &mut outer, |word, lane| match word {
                0..8 => inner[word].0[lane],
                8 => 1 << 63,
                15 => 8 * (128 + 64),
                _ => 0,
            });

            for (lane, tweak) in (0..LANES).rev().zip(tweaks) {
                for (bytes, column) in tweak.chunks_exact_mut(8).zip(&outer) {
                    bytes.copy_from_slice(&column.0[lane].to_be_bytes());
                }
            }
            first_index = first_index.wrapping_add(LANES as u32);
        }
    }

    fn one_by_one(self) {
        for (index, tweak) in (self.first_index..).zip(self.out) {
            let mut engine = self.hmac.keyed.clone();
            engine.input(&index.to_be_bytes());
            let hash = Hmac::<sha512::Hash>::from_engine(engine).to_byte_array();
            tweak.copy_from_slice(&hash[..32]);
        }
    }
}

fn state_after(parent: &ExtendedPublicKey, pad: u8) -> [u64; 8] {
    let mut engine = sha512::Hash::engine();
    engine.input(&parent.chain_code.map(|byte| byte ^ pad));
    engine.input(&[pad; 96]);
    words(&engine.midstate())
}

fn words<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let mut chunks = bytes.chunks_exact(8);
    std::array::from_fn(|_| {
        let bytes = chunks.next().and_then(|bytes| bytes.try_into().ok());
        u64::from_be_bytes(bytes.expect("eight bytes for each word"))
    })
}

fn columns<const N: usize>(words: &[u64; N]) -> [Column<u64>; N] {
    words.map(|word| Column([word; LANES]))
}
