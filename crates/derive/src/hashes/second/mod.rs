//! The hashes again, for the check of each payload before it leaves.
//!
//! Nothing of the first implementation is used here, and nothing of this one there: neither code nor tables,
//! nor the states kept for a parent or a tag. The forms differ too. The first names the vector instructions;
//! this one is plain Rust over columns of [`LANES`] keys, and the compiler makes the vectors. Constants are
//! computed from the roots of primes, when first needed, and from the shift register that defines them, by the
//! compiler, so that a damaged table of one is not the other's. Keys lie in a column in reverse, so that a damaged lane of the
//! processor does not meet the same key twice.
//!
//! Without vectors the hashes of `bitcoin` and `tiny-keccak` do the work, as the first takes those of `sha2`,
//! `sha3` and `ripemd`. What is shared: the slices at the face, [`Arch`], the compiler and its library.
//!
//! A batch is worked on in whole columns, so a single key costs as much as [`LANES`] of them.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod child_hmac;
mod constants;
mod hash160;
mod keccak;
mod ripemd160;
mod sha2;
mod tap_tweak;

pub(crate) use child_hmac::ChildHmac;
pub(crate) use hash160::hash160;
pub(crate) use keccak::keccak20;
pub(crate) use tap_tweak::TapTweak;

use crate::Arch;

/// Keys side by side; the columns of a hash stay in the first-level cache.
const LANES: usize = 32;

/// One word of each key. A vector that straddles two cache lines takes twice as long to load and to store.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Column<T>([T; LANES]);

/// Loops over columns. `run` is `#[inline(always)]` in every implementation, else it would be compiled
/// without the instructions that the caller chose.
trait Columns {
    fn run(self);
    /// Without columns, by a crate.
    fn one_by_one(self);
}

/// An `arch` that this processor does not have is served by the crates.
fn run<C: Columns>(arch: Arch, columns: C) {
    match arch {
        #[cfg(target_arch = "x86_64")]
        Arch::Avx2 => avx2::run(columns),
        #[cfg(target_arch = "x86_64")]
        Arch::Ifma => avx512::run(columns),
        _ => columns.one_by_one(),
    }
}

/// Repeats a body for 0 to 15, with the number as a constant.
macro_rules! sixteen_times {
    ($step:ident $body:block) => {
        sixteen_times!($step $body 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    ($step:ident $body:block $($number:literal)*) => {
        $({
            const $step: usize = $number;
            $body
        })*
    };
}
use sixteen_times;

#[cfg(test)]
mod tests;
