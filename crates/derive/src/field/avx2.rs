//! Four elements. The multiplier takes 32 bits, so an element is ten limbs of 26 here: limb i beside limb i + 5
//! in one word of 64 bits, for sums and differences of both at once.
#![expect(
    unsafe_code,
    reason = "wide instructions may be executed only where the processor has them"
)]

use std::arch::x86_64::*;

use super::{Affine, Field, LIMBS, Limbs, MAX_WIDTH, Pick, Work};

/// Four elements. Weak: limbs below 2²⁶ + 2²¹, the last below 2²² + 8. Factors have limbs below 2²⁸, the last
/// below 2²⁴.
///
/// Values of this type are made and used only inside of [`Avx2::run`]: that is what each SAFETY sentence here leans on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2([__m256i; LIMBS]);

/// Limbs while they are multiplied; of each word of 64 bits the lower half counts.
type Apart = [__m256i; 10];

const LOW: u64 = (1 << 26) - 1;
const TOP: u64 = (1 << 22) - 1;
/// Of 2²⁵⁶ modulo p = 2³² + 977 what is no multiple of 2²⁶.
const FOLD_LOW: u64 = 977;
/// Of 2²⁶⁰ modulo p, which is 2³⁶ + this.
const FOLD_LIMBS_LOW: u64 = FOLD_LOW << 4;

/// n·p limb by limb.
const fn multiple_of_p(n: u64) -> [u64; LIMBS] {
    let limbs = [LOW - 976, LOW - 64, LOW, LOW, LOW, LOW, LOW, LOW, LOW, TOP];
    let mut words = [0; LIMBS];
    let mut i = 0;
    while i < LIMBS {
        words[i] = (n * limbs[i]) | ((n * limbs[i + 5]) << 32);
        i += 1;
    }
    words
}

const P2: [u64; LIMBS] = multiple_of_p(2);
const P6: [u64; LIMBS] = multiple_of_p(6);

impl Avx2 {
    #[inline]
    pub(super) fn run<W: Work>(work: W) -> W::Output {
        #[target_feature(enable = "avx2,bmi1,bmi2")]
        fn inner<W: Work>(work: W) -> W::Output {
            work.run::<Avx2>()
        }
        assert!(crate::Arch::available().contains(&crate::Arch::Avx2));
        // SAFETY: the line above; it asks for BMI1 and BMI2, too.
        unsafe { inner(work) }
    }
}

fn narrow(limbs: &Limbs) -> [u64; LIMBS] {
    let limb = |i: usize| match i % 2 {
        0 => limbs[i / 2] & LOW,
        _ => limbs[i / 2] >> 26,
    };
    std::array::from_fn(|i| limb(i) | (limb(i + 5) << 32))
}

fn widened(words: [u64; LIMBS]) -> Limbs {
    let limb = |i: usize| {
        if i < 5 {
            words[i] & 0xffff_ffff
        } else {
            words[i - 5] >> 32
        }
    };
    std::array::from_fn(|i| limb(2 * i) + (limb(2 * i + 1) << 26))
}

impl Field for Avx2 {
    const WIDTH: usize = 4;

    #[inline(always)]
    fn splat(element: &Limbs) -> Self {
        // SAFETY: inside of `run`.
        unsafe { splat(&narrow(element)) }
    }

    #[inline(always)]
    fn lane(&self, lane: usize) -> Limbs {
        // SAFETY: inside of `run`.
        widened(self.0.map(|word| unsafe { words(word) }[lane]))
    }

    #[inline(always)]
    fn lanes(&self) -> [Limbs; MAX_WIDTH] {
        // SAFETY: inside of `run`.
        let limbs = self.0.map(|word| unsafe { words(word) });
        let mut lanes = [[0; LIMBS]; MAX_WIDTH];
        for (lane, element) in lanes.iter_mut().enumerate().take(Self::WIDTH) {
            *element = widened(limbs.map(|limb| limb[lane]));
        }
        lanes
    }

    #[inline(always)]
    fn set_lane(&mut self, lane: usize, element: &Limbs) {
        for (word, new) in self.0.iter_mut().zip(narrow(element)) {
            // SAFETY: inside of `run`.
            unsafe {
                let mut all = words(*word);
                all[lane] = new;
                *word = of_words(&all);
            }
        }
    }

    #[inline(always)]
    fn of_lanes(lanes: &[Limbs; MAX_WIDTH]) -> Self {
        let words = [0, 1, 2, 3].map(|lane| narrow(&lanes[lane]));
        // SAFETY: inside of `run`.
        Self(std::array::from_fn(|i| unsafe {
            of_words(&words.map(|words| words[i]))
        }))
    }

    #[inline(always)]
    fn pick_x(table: &[Affine], picks: &[Pick]) -> Self {
        // SAFETY: inside of `run`.
        unsafe { unpack(gather(std::array::from_fn(|i| &table[picks[i].at()].x))) }
    }

    #[inline(always)]
    fn pick_y(table: &[Affine], picks: &[Pick]) -> Self {
        // SAFETY: inside of `run`.
        unsafe {
            let y = unpack(gather(std::array::from_fn(|i| &table[picks[i].at()].y)));
            let picks: &[Pick; 4] = picks[..4].try_into().expect("four picks");
            negate_picked(y, picks)
        }
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: inside of `run`.
        unsafe { mul(self, other) }
    }

    #[inline(always)]
    fn square(self) -> Self {
        // SAFETY: inside of `run`.
        unsafe { square(self) }
    }

    #[inline(always)]
    fn difference(self, other: Self) -> Self {
        // SAFETY: inside of `run`.
        unsafe { subtract(self, other) }
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        // SAFETY: inside of `run`.
        unsafe { settle(subtract(self, other)) }
    }

    #[inline(always)]
    fn minus_twice_minus(self, twice: Self, difference: Self) -> Self {
        // SAFETY: inside of `run`.
        unsafe { minus_twice_minus(self, twice, difference) }
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn constant(word: u64) -> __m256i {
    _mm256_set1_epi64x(word as i64)
}

#[target_feature(enable = "avx2")]
#[inline]
fn splat(words: &[u64; LIMBS]) -> Avx2 {
    Avx2(words.map(|word| constant(word)))
}

#[target_feature(enable = "avx2")]
#[inline]
fn words(word: __m256i) -> [u64; 4] {
    let mut words = [0; 4];
    // SAFETY: four words are 32 bytes, and the store asks for no alignment.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), word) }
    words
}

#[target_feature(enable = "avx2")]
#[inline]
fn of_words(words: &[u64; 4]) -> __m256i {
    // SAFETY: four words are 32 bytes, and the load asks for no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

/// Word beside word instead of element beside element.
#[target_feature(enable = "avx2")]
#[inline]
fn gather(of: [&[u64; 4]; 4]) -> [__m256i; 4] {
    let [a, b, c, d] = of.map(|words| of_words(words));
    let (even, odd) = (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    let (even2, odd2) = (_mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d));
    [
        _mm256_permute2x128_si256::<0x20>(even, even2),
        _mm256_permute2x128_si256::<0x20>(odd, odd2),
        _mm256_permute2x128_si256::<0x31>(even, even2),
        _mm256_permute2x128_si256::<0x31>(odd, odd2),
    ]
}

/// Limb i begins at bit 26·i of the element.
#[target_feature(enable = "avx2")]
#[inline]
fn unpack(words: [__m256i; 4]) -> Avx2 {
    let [a, b, c, d] = words;
    let (low, high) = (constant(LOW), constant(LOW << 32));
    let beside =
        |lower, upper| _mm256_or_si256(_mm256_and_si256(lower, low), _mm256_and_si256(upper, high));
    Avx2([
        beside(a, _mm256_slli_epi64::<30>(c)),
        beside(_mm256_srli_epi64::<26>(a), _mm256_slli_epi64::<4>(c)),
        beside(
            _mm256_or_si256(_mm256_srli_epi64::<52>(a), _mm256_slli_epi64::<12>(b)),
            _mm256_or_si256(_mm256_srli_epi64::<22>(c), _mm256_slli_epi64::<42>(d)),
        ),
        beside(_mm256_srli_epi64::<14>(b), _mm256_slli_epi64::<16>(d)),
        beside(
            _mm256_or_si256(_mm256_srli_epi64::<40>(b), _mm256_slli_epi64::<24>(c)),
            _mm256_srli_epi64::<10>(d),
        ),
    ])
}

#[target_feature(enable = "avx2")]
#[inline]
fn negate_picked(y: Avx2, picks: &[Pick; 4]) -> Avx2 {
    // SAFETY: four picks are transparently four words of 32 bits; the load asks for no alignment.
    let picks = _mm256_cvtepu32_epi64(unsafe { _mm_loadu_si128(picks.as_ptr().cast()) });
    // The blend looks at the top bit of each word.
    let negative = _mm256_castsi256_pd(_mm256_slli_epi64::<63>(picks));
    Avx2(std::array::from_fn(|i| {
        let negated = _mm256_sub_epi32(constant(P2[i]), y.0[i]);
        let (kept, negated) = (_mm256_castsi256_pd(y.0[i]), _mm256_castsi256_pd(negated));
        _mm256_castpd_si256(_mm256_blendv_pd(kept, negated, negative))
    }))
}

#[target_feature(enable = "avx2")]
#[inline]
fn apart(element: Avx2) -> Apart {
    std::array::from_fn(|i| match i {
        0..5 => element.0[i],
        _ => _mm256_srli_epi64::<32>(element.0[i - 5]),
    })
}

/// Repeats a body for each literal: a loop over products stays one, and then they are looked up in memory.
macro_rules! for_each {
    ($step:ident in [$($literal:literal)*] $body:block) => {
        $({
            const $step: usize = $literal;
            $body
        })*
    };
    ($step:ident in 0..10 $body:block) => {
        for_each!($step in [0 1 2 3 4 5 6 7 8 9] $body)
    };
}

/// The products of weight `K`.
#[target_feature(enable = "avx2")]
#[inline]
fn column<const K: usize>(a: &Apart, b: &Apart) -> __m256i {
    let mut sum = _mm256_setzero_si256();
    for_each!(I in 0..10 {
        if let 0..10 = K.wrapping_sub(I) {
            sum = _mm256_add_epi64(sum, _mm256_mul_epu32(a[I], b[K - I]));
        }
    });
    sum
}

/// The products of weight `K` of `a` with itself; `twice` is its double.
#[target_feature(enable = "avx2")]
#[inline]
fn square_column<const K: usize>(a: &Apart, twice: &Apart) -> __m256i {
    let mut sum = _mm256_setzero_si256();
    for_each!(I in 0..10 {
        if 2 * I < K && K - I < 10 {
            sum = _mm256_add_epi64(sum, _mm256_mul_epu32(twice[I], a[K - I]));
        } else if 2 * I == K {
            sum = _mm256_add_epi64(sum, _mm256_mul_epu32(a[I], a[I]));
        }
    });
    sum
}

/// A weak element of the columns that `$column` makes of two operands, each below 2⁶⁰. The high ones come first
/// and leave limbs to be folded, then the low ones take them up; so few of them need a register at a time.
macro_rules! folded {
    ($column:ident($a:expr, $b:expr)) => {{
        let low = constant(LOW);
        let mut high = [_mm256_setzero_si256(); 10];
        let ninth = $column::<9>($a, $b);
        let mut carry = _mm256_srli_epi64::<26>(ninth);
        for_each!(K in [10 11 12 13 14 15 16 17 18] {
            carry = _mm256_add_epi64(carry, $column::<K>($a, $b));
            high[K - 10] = _mm256_and_si256(carry, low);
            carry = _mm256_srli_epi64::<26>(carry);
        });
        // Below 2²³, and folded twice.
        high[9] = carry;

        let fold = constant(FOLD_LIMBS_LOW);
        let twice_folded = _mm256_mul_epu32(high[9], constant(FOLD_LIMBS_LOW << 10));
        let mut limbs = [_mm256_setzero_si256(); 10];
        let sum = _mm256_add_epi64($column::<0>($a, $b), _mm256_mul_epu32(high[0], fold));
        let sum = _mm256_add_epi64(sum, twice_folded);
        limbs[0] = _mm256_and_si256(sum, low);
        carry = _mm256_add_epi64(_mm256_srli_epi64::<26>(sum), _mm256_slli_epi64::<20>(high[9]));
        for_each!(K in [1 2 3 4 5 6 7 8] {
            let sum = _mm256_add_epi64($column::<K>($a, $b), _mm256_mul_epu32(high[K], fold));
            carry = _mm256_add_epi64(carry, _mm256_slli_epi64::<10>(high[K - 1]));
            let sum = _mm256_add_epi64(sum, carry);
            limbs[K] = _mm256_and_si256(sum, low);
            carry = _mm256_srli_epi64::<26>(sum);
        });
        let sum = _mm256_add_epi64(_mm256_and_si256(ninth, low), _mm256_mul_epu32(high[9], fold));
        carry = _mm256_add_epi64(carry, _mm256_slli_epi64::<10>(high[8]));
        let sum = _mm256_add_epi64(sum, carry);
        limbs[9] = _mm256_and_si256(sum, constant(TOP));
        with_top(limbs, _mm256_srli_epi64::<22>(sum))
    }};
}

/// `top`, below 2¹⁵, has the weight 2²⁵⁶.
#[target_feature(enable = "avx2")]
#[inline]
fn with_top(mut limbs: Apart, top: __m256i) -> Avx2 {
    let low = constant(LOW);
    limbs[0] = _mm256_add_epi64(limbs[0], _mm256_mul_epu32(top, constant(FOLD_LOW)));
    limbs[1] = _mm256_add_epi64(limbs[1], _mm256_slli_epi64::<6>(top));
    limbs[1] = _mm256_add_epi64(limbs[1], _mm256_srli_epi64::<26>(limbs[0]));
    limbs[0] = _mm256_and_si256(limbs[0], low);
    Avx2(std::array::from_fn(|i| {
        _mm256_or_si256(limbs[i], _mm256_slli_epi64::<32>(limbs[i + 5]))
    }))
}

#[target_feature(enable = "avx2")]
#[inline]
fn mul(a: Avx2, b: Avx2) -> Avx2 {
    let (a, b) = (apart(a), apart(b));
    folded!(column(&a, &b))
}

#[target_feature(enable = "avx2")]
#[inline]
fn square(a: Avx2) -> Avx2 {
    let twice = Avx2(a.0.map(|word| _mm256_add_epi32(word, word)));
    let (a, twice) = (apart(a), apart(twice));
    folded!(square_column(&a, &twice))
}

/// A factor, of a weak `b` and an `a` with limbs below 2²⁷.
#[target_feature(enable = "avx2")]
#[inline]
fn subtract(a: Avx2, b: Avx2) -> Avx2 {
    Avx2(std::array::from_fn(|i| {
        _mm256_sub_epi32(_mm256_add_epi32(a.0[i], constant(P2[i])), b.0[i])
    }))
}

#[target_feature(enable = "avx2")]
#[inline]
fn minus_twice_minus(a: Avx2, twice: Avx2, difference: Avx2) -> Avx2 {
    settle(Avx2(std::array::from_fn(|i| {
        let twice = _mm256_add_epi32(twice.0[i], twice.0[i]);
        let taken = _mm256_add_epi32(twice, difference.0[i]);
        _mm256_sub_epi32(_mm256_add_epi32(a.0[i], constant(P6[i])), taken)
    })))
}

/// Weak, of limbs below 2²⁹, the last below 2²⁵: each gives its carry to the next, which is enough.
#[target_feature(enable = "avx2")]
#[inline]
fn settle(element: Avx2) -> Avx2 {
    let both = constant(LOW << 32 | LOW);
    let carries = element.0.map(|word| _mm256_srli_epi32::<26>(word));
    let top = _mm256_srli_epi64::<54>(element.0[4]);
    let mut words = element.0.map(|word| _mm256_and_si256(word, both));
    words[4] = _mm256_and_si256(words[4], constant(TOP << 32 | LOW));
    for i in 0..LIMBS - 1 {
        words[i + 1] = _mm256_add_epi32(words[i + 1], carries[i]);
    }
    // The fifth limb's carry goes to the sixth, which lies beside the first.
    words[0] = _mm256_add_epi32(words[0], _mm256_slli_epi64::<32>(carries[4]));
    words[0] = _mm256_add_epi32(words[0], _mm256_mul_epu32(top, constant(FOLD_LOW)));
    words[1] = _mm256_add_epi32(words[1], _mm256_slli_epi64::<6>(top));
    Avx2(words)
}
