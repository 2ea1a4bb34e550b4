#![expect(
    unsafe_code,
    reason = "wide instructions may be executed only where the processor has them"
)]

use std::arch::x86_64::*;

use super::{
    Affine, FOLD, FOLD_LIMBS, Field, LIMBS, Limbs, MASK, MAX_WIDTH, P, Pick, TOP_MASK, Work,
    multiple_of_p,
};

/// Eight elements; every limb below 2⁵², as the multiplier reads no more.
///
/// Values of this type are made and used only inside of [`Ifma::run`]: that is what each SAFETY sentence here leans on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ifma([__m512i; LIMBS]);

const P2: Limbs = multiple_of_p(2);
const P6: Limbs = multiple_of_p(6);

impl Ifma {
    #[inline]
    pub(super) fn run<W: Work>(work: W) -> W::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,bmi2")]
        fn inner<W: Work>(work: W) -> W::Output {
            work.run::<Ifma>()
        }
        assert!(crate::Arch::available().contains(&crate::Arch::Ifma));
        // SAFETY: the line above; a processor with AVX-512 has BMI2.
        unsafe { inner(work) }
    }
}

impl Field for Ifma {
    const WIDTH: usize = 8;

    #[inline(always)]
    fn splat(element: &Limbs) -> Self {
        // SAFETY: inside of `run`.
        unsafe { splat(element) }
    }

    #[inline(always)]
    fn lane(&self, lane: usize) -> Limbs {
        // SAFETY: inside of `run`.
        self.0.map(|limb| unsafe { words(limb) }[lane])
    }

    #[inline(always)]
    fn lanes(&self) -> [Limbs; MAX_WIDTH] {
        let mut lanes = [[0; LIMBS]; MAX_WIDTH];
        for (i, limb) in self.0.iter().enumerate() {
            // SAFETY: inside of `run`.
            let words = unsafe { words(*limb) };
            for (lane, word) in lanes.iter_mut().zip(words) {
                lane[i] = word;
            }
        }
        lanes
    }

    #[inline(always)]
    fn set_lane(&mut self, lane: usize, element: &Limbs) {
        for (limb, new) in self.0.iter_mut().zip(element) {
            // SAFETY: inside of `run`.
            unsafe {
                let mut all = words(*limb);
                all[lane] = *new;
                *limb = of_words(&all);
            }
        }
    }

    #[inline(always)]
    fn of_lanes(lanes: &[Limbs; MAX_WIDTH]) -> Self {
        let mut words = [[0; MAX_WIDTH]; LIMBS];
        for (at, lane) in lanes.iter().enumerate() {
            for (words, limb) in words.iter_mut().zip(lane) {
                words[at] = *limb;
            }
        }
        // SAFETY: inside of `run`.
        Self(unsafe { words.each_ref().map(|words| of_words(words)) })
    }

    /// Weak limbs have 52 bits, so there are two ways to write zero.
    #[inline(always)]
    fn is_zero(&self) -> bool {
        // SAFETY: inside of `run`.
        unsafe { equal_lanes(*self, &[0; LIMBS]) | equal_lanes(*self, &P) == u8::MAX }
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
            let picks: &[Pick; 8] = picks[..8].try_into().expect("eight picks");
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
        unsafe { carry(subtract(self, other)) }
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        // SAFETY: inside of `run`.
        unsafe { fold(subtract(self, other)) }
    }

    #[inline(always)]
    fn minus_twice_minus(self, twice: Self, difference: Self) -> Self {
        // SAFETY: inside of `run`.
        unsafe { minus_twice_minus(self, twice, difference) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
#[inline]
fn constant(word: u64) -> __m512i {
    _mm512_set1_epi64(word as i64)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
#[inline]
fn splat(element: &Limbs) -> Ifma {
    Ifma(element.map(|limb| constant(limb)))
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
#[inline]
fn equal_lanes(elements: Ifma, element: &Limbs) -> u8 {
    let equal = |all, i: usize| all & _mm512_cmpeq_epi64_mask(elements.0[i], constant(element[i]));
    (0..LIMBS).fold(u8::MAX, equal)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
#[inline]
fn words(limb: __m512i) -> [u64; 8] {
    let mut words = [0; 8];
    // SAFETY: eight words are 64 bytes, and the store asks for no alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), limb) }
    words
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
#[inline]
fn of_words(words: &[u64; 8]) -> __m512i {
    // SAFETY: eight words are 64 bytes, and the load asks for no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
#[inline]
fn half(words: &[u64; 4]) -> __m256i {
    // SAFETY: four words are 32 bytes, and the load asks for no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
#[inline]
fn pair(low: &[u64; 4], high: &[u64; 4]) -> __m512i {
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(half(low)), half(high))
}

/// Word beside word instead of element beside element.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
#[inline]
fn gather(of: [&[u64; 4]; 8]) -> [__m512i; 4] {
    let (a, b) = (pair(of[0], of[2]), pair(of[1], of[3]));
    let (c, d) = (pair(of[4], of[6]), pair(of[5], of[7]));
    let even = (_mm512_unpacklo_epi64(a, b), _mm512_unpacklo_epi64(c, d));
    let odd = (_mm512_unpackhi_epi64(a, b), _mm512_unpackhi_epi64(c, d));
    [
        _mm512_shuffle_i64x2::<0x88>(even.0, even.1),
        _mm512_shuffle_i64x2::<0x88>(odd.0, odd.1),
        _mm512_shuffle_i64x2::<0xdd>(even.0, even.1),
        _mm512_shuffle_i64x2::<0xdd>(odd.0, odd.1),
    ]
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
#[inline]
fn unpack(words: [__m512i; 4]) -> Ifma {
    let [a, b, c, d] = words;
    let mask = constant(MASK);
    // (low | high) & mask in one instruction.
    let join = |low, high| _mm512_ternarylogic_epi64::<0xe0>(mask, low, high);
    Ifma([
        _mm512_and_si512(a, mask),
        join(_mm512_srli_epi64::<52>(a), _mm512_slli_epi64::<12>(b)),
        join(_mm512_srli_epi64::<40>(b), _mm512_slli_epi64::<24>(c)),
        join(_mm512_srli_epi64::<28>(c), _mm512_slli_epi64::<36>(d)),
        _mm512_srli_epi64::<16>(d),
    ])
}

/// Limbs below 2⁵³, not carried.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
#[inline]
fn negate_picked(y: Ifma, picks: &[Pick; 8]) -> Ifma {
    // SAFETY: eight picks are transparently eight words of 32 bits; the load asks for no alignment.
    let picks = unsafe { _mm256_loadu_si256(picks.as_ptr().cast()) };
    let negative = _mm256_test_epi32_mask(picks, _mm256_set1_epi32(1));
    Ifma(std::array::from_fn(|i| {
        _mm512_mask_sub_epi64(y.0[i], negative, constant(P2[i]), y.0[i])
    }))
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
#[inline]
fn mul(a: Ifma, b: Ifma) -> Ifma {
    let (a, b) = (a.0, b.0);
    let mut columns = [_mm512_setzero_si512(); 10];
    for i in 0..LIMBS {
        for j in 0..LIMBS {
            columns[i + j] = _mm512_madd52lo_epu64(columns[i + j], a[i], b[j]);
        }
        for j in 0..LIMBS {
            columns[i + j + 1] = _mm512_madd52hi_epu64(columns[i + j + 1], a[i], b[j]);
        }
    }
    fold_columns(columns)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
#[inline]
fn square(a: Ifma) -> Ifma {
    let a = a.0;
    let mut columns = [_mm512_setzero_si512(); 10];
    for i in 0..LIMBS {
        for j in i + 1..LIMBS {
            columns[i + j] = _mm512_madd52lo_epu64(columns[i + j], a[i], a[j]);
            columns[i + j + 1] = _mm512_madd52hi_epu64(columns[i + j + 1], a[i], a[j]);
        }
    }
    // Doubled here and not before: the multiplier would not see a 53rd bit.
    for column in &mut columns {
        *column = _mm512_add_epi64(*column, *column);
    }
    for i in 0..LIMBS {
        columns[2 * i] = _mm512_madd52lo_epu64(columns[2 * i], a[i], a[i]);
        columns[2 * i + 1] = _mm512_madd52hi_epu64(columns[2 * i + 1], a[i], a[i]);
    }
    fold_columns(columns)
}

/// Columns below 2⁵⁷, the last below 2⁵¹: factors are below 2²⁵⁹.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
#[inline]
fn fold_columns(mut columns: [__m512i; 10]) -> Ifma {
    for i in 5..9 {
        columns[i + 1] = _mm512_add_epi64(columns[i + 1], _mm512_srli_epi64::<52>(columns[i]));
    }
    let fold_limbs = constant(FOLD_LIMBS);
    let mut low: [__m512i; LIMBS] = std::array::from_fn(|i| columns[i]);
    for i in 0..LIMBS {
        // The multiplier takes the low 52 bits of the column, which is what the carry left in it.
        low[i] = _mm512_madd52lo_epu64(low[i], columns[i + 5], fold_limbs);
    }
    for i in 0..LIMBS - 1 {
        low[i + 1] = _mm512_madd52hi_epu64(low[i + 1], columns[i + 5], fold_limbs);
    }
    let beyond = _mm512_madd52hi_epu64(_mm512_setzero_si512(), columns[9], fold_limbs);
    let above = _mm512_add_epi64(
        _mm512_srli_epi64::<48>(low[4]),
        _mm512_slli_epi64::<4>(beyond),
    );
    low[4] = _mm512_and_si512(low[4], constant(TOP_MASK));
    low[0] = _mm512_madd52lo_epu64(low[0], above, constant(FOLD));
    low[1] = _mm512_madd52hi_epu64(low[1], above, constant(FOLD));
    carry(Ifma(low))
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
#[inline]
fn carry(limbs: Ifma) -> Ifma {
    let mut limbs = limbs.0;
    for i in 0..LIMBS - 1 {
        limbs[i + 1] = _mm512_add_epi64(limbs[i + 1], _mm512_srli_epi64::<52>(limbs[i]));
        limbs[i] = _mm512_and_si512(limbs[i], constant(MASK));
    }
    Ifma(limbs)
}

/// What lies above 2²⁵⁶, a few units, comes back at the lowest limb; then carries.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
#[inline]
fn fold(limbs: Ifma) -> Ifma {
    let mut limbs = limbs.0;
    let above = _mm512_srli_epi64::<48>(limbs[4]);
    limbs[4] = _mm512_and_si512(limbs[4], constant(TOP_MASK));
    limbs[0] = _mm512_madd52lo_epu64(limbs[0], above, constant(FOLD));
    carry(Ifma(limbs))
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
#[inline]
fn subtract(a: Ifma, b: Ifma) -> Ifma {
    Ifma(std::array::from_fn(|i| {
        _mm512_sub_epi64(_mm512_add_epi64(a.0[i], constant(P2[i])), b.0[i])
    }))
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
#[inline]
fn minus_twice_minus(a: Ifma, twice: Ifma, difference: Ifma) -> Ifma {
    fold(Ifma(std::array::from_fn(|i| {
        let twice = _mm512_add_epi64(twice.0[i], twice.0[i]);
        let taken = _mm512_add_epi64(twice, difference.0[i]);
        _mm512_sub_epi64(_mm512_add_epi64(a.0[i], constant(P6[i])), taken)
    })))
}
