//! Vectors of words, one key in each lane, and the choice of instructions at run time.
//!
//! A hash is written once over [`Words`] as a [`Kernel`]; [`run`] compiles it for each set of instructions.
//! A value of a vector type is the proof that its instructions are there, for only [`Isa::new`] begins the
//! chain of calls that makes one, and it asks the processor first.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use crate::Arch;

/// A vector of unsigned words, 32 or 64 bits each. Arithmetic is modulo the word.
pub(super) trait Words: Copy {
    type Word: Copy + Default;
    const LANES: usize;

    fn add(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    fn xor3(self, b: Self, c: Self) -> Self;
    /// The bits of `yes` where `self` has ones, those of `no` elsewhere.
    fn choose(self, yes: Self, no: Self) -> Self;
    fn majority(self, b: Self, c: Self) -> Self;
    /// `self ^ (!not & and)`
    fn xor_and_not(self, not: Self, and: Self) -> Self;
    /// `self ^ (or | !or_not)`
    fn xor_or_not(self, or: Self, or_not: Self) -> Self;
    /// `0 < bits < width`; a constant once inlined, hence an immediate of the instruction.
    fn rotate_left(self, bits: u32) -> Self;
    fn rotate_right(self, bits: u32) -> Self;
    fn shift_right(self, bits: u32) -> Self;
    /// Writes the first [`Self::LANES`] words.
    fn store(self, words: &mut [Self::Word]);
}

/// Proof that this processor has a set of instructions.
pub(super) trait Isa: Copy {
    type U32: Words<Word = u32>;
    type U64: Words<Word = u64>;

    /// `None` when the processor lacks it.
    fn new() -> Option<Self>;
    fn splat32(self, word: u32) -> Self::U32;
    fn splat64(self, word: u64) -> Self::U64;
    /// From the first `LANES` words.
    fn load32(self, words: &[u32]) -> Self::U32;
    fn load64(self, words: &[u64]) -> Self::U64;

    /// Words 0 to 3 of up to `LANES` rows, little-endian; lanes beyond the rows repeat the last.
    #[inline(always)]
    fn load64_columns(self, rows: &[[u8; 32]]) -> [Self::U64; 4] {
        let mut columns = [[0; 8]; 4];
        for lane in 0..Self::U64::LANES {
            let row = rows[lane.min(rows.len() - 1)].as_chunks::<8>().0;
            for (column, word) in columns.iter_mut().zip(row) {
                column[lane] = u64::from_le_bytes(*word);
            }
        }
        columns.map(|column| self.load64(&column))
    }

    /// Words 0 to 7 of up to `LANES` rows, big-endian; lanes beyond the rows repeat the last.
    #[inline(always)]
    fn load32_columns(self, rows: &[[u8; 32]]) -> [Self::U32; 8] {
        let mut columns = [[0; 16]; 8];
        for lane in 0..Self::U32::LANES {
            let row = rows[lane.min(rows.len() - 1)].as_chunks::<4>().0;
            for (column, word) in columns.iter_mut().zip(row) {
                column[lane] = u32::from_be_bytes(*word);
            }
        }
        columns.map(|column| self.load32(&column))
    }

    /// Runs the kernel compiled for these instructions.
    fn run<K: Kernel>(self, kernel: K);
}

/// Work on slices of keys. `vectors` is `#[inline(always)]` in every implementation, else it would be
/// compiled without the instructions.
pub(super) trait Kernel {
    fn vectors<I: Isa>(self, isa: I);
    fn portable(self);
}

/// An `arch` that this processor does not have is served by the portable code.
pub(super) fn run<K: Kernel>(arch: Arch, kernel: K) {
    #[cfg(target_arch = "x86_64")]
    match arch {
        Arch::Portable => {}
        Arch::Avx2 => {
            if let Some(isa) = avx2::Avx2::new() {
                return isa.run(kernel);
            }
        }
        Arch::Ifma => {
            if let Some(isa) = avx512::Avx512::new() {
                return isa.run(kernel);
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = arch;
    kernel.portable();
}

/// Repeats a body for each literal: the compiler keeps arrays indexed by literals in registers.
macro_rules! unrolled {
    ($step:ident in [$($literal:literal)*] $body:block) => {
        $({
            const $step: usize = $literal;
            $body
        })*
    };
    ($step:ident in 0..16 $body:block) => {
        $crate::hashes::words::unrolled!($step in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] $body)
    };
}
pub(super) use unrolled;
