use super::sha512::{INITIAL, compress};
use super::words::{Isa, Kernel, Words, run};
use crate::{Arch, ExtendedPublicKey};

use sha2::block_api::compress512;

/// Both messages are one block behind the pad's: 37 bytes and a hash.
const INNER_BITS: u64 = 8 * (128 + 37);
const OUTER_BITS: u64 = 8 * (128 + 64);
/// The bit that ends a message, at the top of a word.
const END: u64 = 1 << 63;

/// HMAC-SHA512 under the chain code over key‖index, with the states after key and pads kept: two
/// compressions a child instead of four.
pub(crate) struct ChildHmac {
    inner: [u64; 8],
    outer: [u64; 8],
    /// The first 32 bytes of the parent's key, and the one left.
    key: [u64; 4],
    key_end: u8,
}

impl ChildHmac {
    pub(crate) fn new(parent: &ExtendedPublicKey) -> Self {
        let padded = |pad: u8| {
            let mut block = [pad; 128];
            for (padded, byte) in block.iter_mut().zip(parent.chain_code) {
                *padded ^= byte;
            }
            let mut state = INITIAL;
            compress512(&mut state, &[block]);
            state
        };
        let (words, end) = parent.public_key.as_chunks::<8>();
        Self {
            inner: padded(0x36),
            outer: padded(0x5c),
            key: std::array::from_fn(|i| u64::from_be_bytes(words[i])),
            key_end: end[0],
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

    /// A bit of what is kept for all children; there are [`Self::KEPT_BITS`].
    #[cfg(test)]
    pub(crate) fn flip(&mut self, bit: usize) {
        let kept = self.inner.iter_mut().chain(&mut self.outer);
        let mut kept = kept.chain(&mut self.key);
        *kept.nth(bit / 64).expect("a word that is kept") ^= 1 << (bit % 64);
    }

    #[cfg(test)]
    pub(crate) const KEPT_BITS: usize = 64 * (8 + 8 + 4);

    /// The word of the message with the end of the key, the index and the ending bit.
    #[inline(always)]
    fn index_word(&self, index: u32) -> u64 {
        u64::from(self.key_end) << 56 | u64::from(index) << 24 | END >> 40
    }
}

struct Tweaks<'a> {
    hmac: &'a ChildHmac,
    first_index: u32,
    out: &'a mut [[u8; 32]],
}

impl Kernel for Tweaks<'_> {
    #[inline(always)]
    fn vectors<I: Isa>(self, isa: I) {
        let hmac = self.hmac;
        let mut index = self.first_index;
        for tweaks in self.out.chunks_mut(I::U64::LANES) {
            let mut lanes = [0; 8];
            for (lane, word) in (0..).zip(&mut lanes) {
                *word = hmac.index_word(index.wrapping_add(lane));
            }
            let left = left_half(isa, hmac, isa.load64(&lanes));
            let mut words = [[0; 8]; 4];
            for (words, vector) in words.iter_mut().zip(left) {
                vector.store(words);
            }
            for (lane, tweak) in tweaks.iter_mut().enumerate() {
                for (bytes, words) in tweak.as_chunks_mut::<8>().0.iter_mut().zip(&words) {
                    *bytes = words[lane].to_be_bytes();
                }
            }
            index = index.wrapping_add(I::U64::LANES as u32);
        }
    }

    fn portable(self) {
        let hmac = self.hmac;
        for (index, tweak) in (self.first_index..).zip(self.out) {
            let mut words = [0; 16];
            words[..4].copy_from_slice(&hmac.key);
            words[4] = hmac.index_word(index);
            words[15] = INNER_BITS;
            let mut inner = hmac.inner;
            compress512(&mut inner, &[block_of(words)]);
            words = [0; 16];
            words[..8].copy_from_slice(&inner);
            words[8] = END;
            words[15] = OUTER_BITS;
            let mut outer = hmac.outer;
            compress512(&mut outer, &[block_of(words)]);
            for (bytes, word) in tweak.as_chunks_mut::<8>().0.iter_mut().zip(outer) {
                *bytes = word.to_be_bytes();
            }
        }
    }
}

/// The first four words of the HMACs.
#[inline(always)]
fn left_half<I: Isa>(isa: I, hmac: &ChildHmac, index_words: I::U64) -> [I::U64; 4] {
    let mut block = [isa.splat64(0); 16];
    for (word, key) in block.iter_mut().zip(hmac.key) {
        *word = isa.splat64(key);
    }
    block[4] = index_words;
    block[15] = isa.splat64(INNER_BITS);
    let inner = compress(isa, hmac.inner.map(|word| isa.splat64(word)), block);

    let mut block = [isa.splat64(0); 16];
    block[..8].copy_from_slice(&inner);
    block[8] = isa.splat64(END);
    block[15] = isa.splat64(OUTER_BITS);
    let [a, b, c, d, ..] = compress(isa, hmac.outer.map(|word| isa.splat64(word)), block);
    [a, b, c, d]
}

fn block_of(words: [u64; 16]) -> [u8; 128] {
    let mut block = [0; 128];
    for (bytes, word) in block.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *bytes = word.to_be_bytes();
    }
    block
}
