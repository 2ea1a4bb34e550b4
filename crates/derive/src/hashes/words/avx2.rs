//! 8 lanes of 32 bits or 4 of 64. A rotation is two shifts and an or.
#![expect(
    unsafe_code,
    reason = "vector instructions; each value's existence proves that the processor has them"
)]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_add_epi64, _mm256_and_si256, _mm256_andnot_si256,
    _mm256_loadu_si256, _mm256_or_si256, _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_sllv_epi32,
    _mm256_sllv_epi64, _mm256_srlv_epi32, _mm256_srlv_epi64, _mm256_storeu_si256, _mm256_xor_si256,
};

use super::{Isa, Kernel, Words};

#[derive(Clone, Copy)]
pub(super) struct Avx2(());

#[derive(Clone, Copy)]
pub(super) struct U32x8(__m256i);

#[derive(Clone, Copy)]
pub(super) struct U64x4(__m256i);

macro_rules! words {
    ($vector:ident, $word:ident, $lanes:literal, $add:ident, $left:ident, $right:ident, $splat:ident) => {
        impl Words for $vector {
            type Word = $word;
            const LANES: usize = $lanes;

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                // SAFETY: the vector exists, so `Avx2::new` found the instructions.
                Self(unsafe { $add(self.0, other.0) })
            }

            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { _mm256_xor_si256(self.0, other.0) })
            }

            #[inline(always)]
            fn xor3(self, b: Self, c: Self) -> Self {
                self.xor(b).xor(c)
            }

            #[inline(always)]
            fn choose(self, yes: Self, no: Self) -> Self {
                // SAFETY: as above.
                let differing = Self(unsafe { _mm256_and_si256(self.0, yes.xor(no).0) });
                no.xor(differing)
            }

            #[inline(always)]
            fn majority(self, b: Self, c: Self) -> Self {
                // Rounds of SHA-2 call it with this call's a and b as the next one's b and c, so a ⊕ b is
                // computed once for both.
                // SAFETY: as above.
                let differing = Self(unsafe { _mm256_and_si256(self.xor(b).0, b.xor(c).0) });
                b.xor(differing)
            }

            #[inline(always)]
            fn xor_and_not(self, not: Self, and: Self) -> Self {
                // SAFETY: as above.
                self.xor(Self(unsafe { _mm256_andnot_si256(not.0, and.0) }))
            }

            #[inline(always)]
            fn xor_or_not(self, or: Self, or_not: Self) -> Self {
                // SAFETY: as above.
                unsafe {
                    let neither = _mm256_andnot_si256(or.0, or_not.0);
                    let ones = _mm256_set1_epi32(-1);
                    self.xor(Self(_mm256_xor_si256(neither, ones)))
                }
            }

            #[inline(always)]
            fn rotate_left(self, bits: u32) -> Self {
                self.rotate_right($word::BITS - bits)
            }

            #[inline(always)]
            fn rotate_right(self, bits: u32) -> Self {
                // SAFETY: as above.
                let high = unsafe { $left(self.0, $splat(($word::BITS - bits) as _)) };
                // SAFETY: as above.
                Self(unsafe { _mm256_or_si256(high, self.shift_right(bits).0) })
            }

            #[inline(always)]
            fn shift_right(self, bits: u32) -> Self {
                // SAFETY: as above.
                Self(unsafe { $right(self.0, $splat(bits as _)) })
            }

            #[inline(always)]
            fn store(self, words: &mut [$word]) {
                let words = &mut words[..$lanes];
                // SAFETY: as above; the slice has 32 bytes, and any alignment will do.
                unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), self.0) }
            }
        }
    };
}

words!(
    U32x8,
    u32,
    8,
    _mm256_add_epi32,
    _mm256_sllv_epi32,
    _mm256_srlv_epi32,
    _mm256_set1_epi32
);
words!(
    U64x4,
    u64,
    4,
    _mm256_add_epi64,
    _mm256_sllv_epi64,
    _mm256_srlv_epi64,
    _mm256_set1_epi64x
);

impl Isa for Avx2 {
    type U32 = U32x8;
    type U64 = U64x4;

    fn new() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    #[inline(always)]
    fn splat32(self, word: u32) -> U32x8 {
        // SAFETY: `self` exists, so `new` found the instructions.
        U32x8(unsafe { _mm256_set1_epi32(word.cast_signed()) })
    }

    #[inline(always)]
    fn splat64(self, word: u64) -> U64x4 {
        // SAFETY: as above.
        U64x4(unsafe { _mm256_set1_epi64x(word.cast_signed()) })
    }

    #[inline(always)]
    fn load32(self, words: &[u32]) -> U32x8 {
        let words = &words[..U32x8::LANES];
        // SAFETY: as above; the slice has 32 bytes, and any alignment will do.
        U32x8(unsafe { _mm256_loadu_si256(words.as_ptr().cast()) })
    }

    #[inline(always)]
    fn load64(self, words: &[u64]) -> U64x4 {
        let words = &words[..U64x4::LANES];
        // SAFETY: as above; the slice has 32 bytes, and any alignment will do.
        U64x4(unsafe { _mm256_loadu_si256(words.as_ptr().cast()) })
    }

    fn run<K: Kernel>(self, kernel: K) {
        #[target_feature(enable = "avx2")]
        fn compiled<K: Kernel>(isa: Avx2, kernel: K) {
            kernel.vectors(isa);
        }
        // SAFETY: `self` exists, so `new` found the instructions.
        unsafe { compiled(self, kernel) }
    }
}
