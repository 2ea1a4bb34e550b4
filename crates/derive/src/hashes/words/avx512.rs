//! 16 lanes of 32 bits or 8 of 64: rotation and any function of three bits are one instruction each.
#![expect(
    unsafe_code,
    reason = "vector instructions; each value's existence proves that the processor has them"
)]

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_add_epi64, _mm512_loadu_si512, _mm512_rolv_epi32,
    _mm512_rolv_epi64, _mm512_rorv_epi32, _mm512_rorv_epi64, _mm512_set1_epi32, _mm512_set1_epi64,
    _mm512_srlv_epi32, _mm512_srlv_epi64, _mm512_storeu_si512, _mm512_ternarylogic_epi32,
    _mm512_ternarylogic_epi64, _mm512_xor_si512,
};

use super::{Isa, Kernel, Words};

/// Truth tables of `vpternlog`: bit 4a + 2b + c is the result.
const XOR3: i32 = 0x96;
const CHOOSE: i32 = 0xca;
const MAJORITY: i32 = 0xe8;
const XOR_AND_NOT: i32 = 0xd2;
const XOR_OR_NOT: i32 = 0x2d;

#[derive(Clone, Copy)]
pub(super) struct Avx512(());

#[derive(Clone, Copy)]
pub(super) struct U32x16(__m512i);

#[derive(Clone, Copy)]
pub(super) struct U64x8(__m512i);

macro_rules! words {
    ($vector:ident, $word:ident, $lanes:literal, $add:ident, $ternary:ident, $left:ident, $right:ident, $shift:ident, $splat:ident) => {
        impl Words for $vector {
            type Word = $word;
            const LANES: usize = $lanes;

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                // SAFETY: the vector exists, so `Avx512::new` found the instructions.
                Self(unsafe { $add(self.0, other.0) })
            }

            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { _mm512_xor_si512(self.0, other.0) })
            }

            #[inline(always)]
            fn xor3(self, b: Self, c: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $ternary::<XOR3>(self.0, b.0, c.0) })
            }

            #[inline(always)]
            fn choose(self, yes: Self, no: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $ternary::<CHOOSE>(self.0, yes.0, no.0) })
            }

            #[inline(always)]
            fn majority(self, b: Self, c: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $ternary::<MAJORITY>(self.0, b.0, c.0) })
            }

            #[inline(always)]
            fn xor_and_not(self, not: Self, and: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $ternary::<XOR_AND_NOT>(self.0, not.0, and.0) })
            }

            #[inline(always)]
            fn xor_or_not(self, or: Self, or_not: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $ternary::<XOR_OR_NOT>(self.0, or.0, or_not.0) })
            }

            #[inline(always)]
            fn rotate_left(self, bits: u32) -> Self {
                // SAFETY: as above.
                Self(unsafe { $left(self.0, $splat(bits as _)) })
            }

            #[inline(always)]
            fn rotate_right(self, bits: u32) -> Self {
                // SAFETY: as above.
                Self(unsafe { $right(self.0, $splat(bits as _)) })
            }

            #[inline(always)]
            fn shift_right(self, bits: u32) -> Self {
                // SAFETY: as above.
                Self(unsafe { $shift(self.0, $splat(bits as _)) })
            }

            #[inline(always)]
            fn store(self, words: &mut [$word]) {
                let words = &mut words[..$lanes];
                // SAFETY: as above; the slice has 64 bytes, and any alignment will do.
                unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), self.0) }
            }
        }
    };
}

words!(
    U32x16,
    u32,
    16,
    _mm512_add_epi32,
    _mm512_ternarylogic_epi32,
    _mm512_rolv_epi32,
    _mm512_rorv_epi32,
    _mm512_srlv_epi32,
    _mm512_set1_epi32
);
words!(
    U64x8,
    u64,
    8,
    _mm512_add_epi64,
    _mm512_ternarylogic_epi64,
    _mm512_rolv_epi64,
    _mm512_rorv_epi64,
    _mm512_srlv_epi64,
    _mm512_set1_epi64
);

impl Isa for Avx512 {
    type U32 = U32x16;
    type U64 = U64x8;

    fn new() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        found.then_some(Self(()))
    }

    #[inline(always)]
    fn splat32(self, word: u32) -> U32x16 {
        // SAFETY: `self` exists, so `new` found the instructions.
        U32x16(unsafe { _mm512_set1_epi32(word.cast_signed()) })
    }

    #[inline(always)]
    fn splat64(self, word: u64) -> U64x8 {
        // SAFETY: as above.
        U64x8(unsafe { _mm512_set1_epi64(word.cast_signed()) })
    }

    #[inline(always)]
    fn load32(self, words: &[u32]) -> U32x16 {
        let words = &words[..U32x16::LANES];
        // SAFETY: as above; the slice has 64 bytes, and any alignment will do.
        U32x16(unsafe { _mm512_loadu_si512(words.as_ptr().cast()) })
    }

    #[inline(always)]
    fn load64(self, words: &[u64]) -> U64x8 {
        let words = &words[..U64x8::LANES];
        // SAFETY: as above; the slice has 64 bytes, and any alignment will do.
        U64x8(unsafe { _mm512_loadu_si512(words.as_ptr().cast()) })
    }

    fn run<K: Kernel>(self, kernel: K) {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn compiled<K: Kernel>(isa: Avx512, kernel: K) {
            kernel.vectors(isa);
        }
        // SAFETY: `self` exists, so `new` found the instructions.
        unsafe { compiled(self, kernel) }
    }
}
