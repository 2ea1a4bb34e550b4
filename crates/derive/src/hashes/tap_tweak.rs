use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

use super::sha256::{INITIAL, compress};
use super::words::{Isa, Kernel, Words, run};
use crate::Arch;

/// The tag fills a block, and the key half of the next.
const BITS: u32 = 8 * (64 + 32);

/// The tagged hash `TapTweak` of [BIP-341](https://github.com/bitcoin/bips/blob/master/bip-0341.mediawiki),
/// with the state after the tag kept.
pub(crate) struct TapTweak([u32; 8]);

impl TapTweak {
    pub(crate) fn new() -> Self {
        let tag = Sha256::digest(b"TapTweak");
        let mut block = [0; 64];
        block[..32].copy_from_slice(&tag);
        block[32..].copy_from_slice(&tag);
        let mut state = INITIAL;
        compress256(&mut state, &[block]);
        Self(state)
    }

    /// A bit of the state; a second time restores it.
    #[cfg(test)]
    pub(crate) fn flip(&mut self, bit: usize) {
        self.0[bit / 32] ^= 1 << (bit % 32);
    }

    #[cfg(test)]
    pub(crate) const KEPT_BITS: usize = 32 * 8;

    /// The tweaks of outputs without script path, whose internal keys have these x.
    pub(crate) fn of(&self, arch: Arch, xs: &[[u8; 32]], out: &mut [[u8; 32]]) {
        assert_eq!(xs.len(), out.len());
        let tagged = self.0;
        run(arch, Tweaks { tagged, xs, out });
    }
}

struct Tweaks<'a> {
    tagged: [u32; 8],
    xs: &'a [[u8; 32]],
    out: &'a mut [[u8; 32]],
}

impl Kernel for Tweaks<'_> {
    #[inline(always)]
    fn vectors<I: Isa>(self, isa: I) {
        let lanes = I::U32::LANES;
        for (xs, out) in self.xs.chunks(lanes).zip(self.out.chunks_mut(lanes)) {
            let mut block = [isa.splat32(0); 16];
            block[..8].copy_from_slice(&isa.load32_columns(xs));
            block[8] = isa.splat32(1 << 31);
            block[15] = isa.splat32(BITS);
            let start = self.tagged.map(|word| isa.splat32(word));
            let mut words = [[0; 16]; 8];
            for (words, vector) in words.iter_mut().zip(compress(isa, start, block)) {
                vector.store(words);
            }
            for (lane, tweak) in out.iter_mut().enumerate() {
                for (bytes, words) in tweak.as_chunks_mut::<4>().0.iter_mut().zip(&words) {
                    *bytes = words[lane].to_be_bytes();
                }
            }
        }
    }

    fn portable(self) {
        let mut block = [0; 64];
        block[32] = 0x80;
        block[60..].copy_from_slice(&BITS.to_be_bytes());
        for (x, tweak) in self.xs.iter().zip(self.out) {
            block[..32].copy_from_slice(x);
            let mut state = self.tagged;
            compress256(&mut state, &[block]);
            for (bytes, word) in tweak.as_chunks_mut::<4>().0.iter_mut().zip(state) {
                *bytes = word.to_be_bytes();
            }
        }
    }
}
