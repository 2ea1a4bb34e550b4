use bitcoin::hashes::{Hash, HashEngine, sha256};

use super::constants::SHA2;
use super::sha2::sha256::compress;
use super::{Column, Columns, LANES, run};
use crate::Arch;

/// The tagged hash `TapTweak` of [BIP-341](https://github.com/bitcoin/bips/blob/master/bip-0341.mediawiki),
/// with the state after the tag kept.
pub(crate) struct TapTweak {
    tagged: sha256::HashEngine,
    state: [u32; 8],
}

impl TapTweak {
    pub(crate) fn new() -> Self {
        let tag = sha256::Hash::hash(b"TapTweak");
        let mut tagged = sha256::Hash::engine();
        tagged.input(tag.as_byte_array());
        tagged.input(tag.as_byte_array());
        let bytes = tagged.midstate().to_byte_array();
        let mut words = bytes.as_chunks::<4>().0.iter();
        let state = std::array::from_fn(|_| {
            u32::from_be_bytes(*words.next().expect("four bytes for each of eight words"))
        });
        Self { tagged, state }
    }

    /// The tweaks of outputs without script path, whose internal keys have these x.
    pub(crate) fn of(&self, arch: Arch, xs: &[[u8; 32]], out: &mut [[u8; 32]]) {
        assert_eq!(xs.len(), out.len());
        let tap_tweak = self;
        run(arch, Tweaks { tap_tweak, xs, out });
    }
}

struct Tweaks<'a> {
    tap_tweak: &'a TapTweak,
    xs: &'a [[u8; 32]],
    out: &'a mut [[u8; 32]],
}

impl Columns for Tweaks<'_> {
    #[inline(always)]
    fn run(self) {
        for (xs, out) in self.xs.chunks(LANES).zip(self.out.chunks_mut(LANES)) {
            let mut block = [Column([0; LANES]); 8];
            for (lane, x) in (0..LANES).rev().zip(xs) {
                for (column, bytes) in block.iter_mut().zip(x.as_chunks::<4>().0) {
                    column.0[lane] = u32::from_be_bytes(*bytes);
                }
            }
            let mut state = self.tap_tweak.state.map(|word| Column([word; LANES]));
            compress(&SHA2.rounds32, &mut state, |word, lane| match word {
                0..8 => block[word].0[lane],
                8 => 0x80 << 24,
                15 => 8 * (64 + 32),
                _ => 0,
            });
            for (lane, tweak) in (0..LANES).rev().zip(out) {
                for (bytes, column) in tweak.chunks_exact_mut(4).zip(&state) {
                    bytes.copy_from_slice(&column.0[lane].to_be_bytes());
                }
            }
        }
    }

    fn one_by_one(self) {
        for (x, tweak) in self.xs.iter().zip(self.out) {
            let mut engine = self.tap_tweak.tagged.clone();
            engine.input(x);
            *tweak = sha256::Hash::from_engine(engine).to_byte_array();
        }
    }
}
