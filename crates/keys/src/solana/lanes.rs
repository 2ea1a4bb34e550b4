//! Eight children at a time on AVX-512: HMAC-SHA512, the recoding of scalars and the multiplication of the
//! base point. The one file of this crate with `unsafe`; see ADR 12.
//!
//! Constant time on secrets: no branch and no address depends on one. An entry of the table is chosen by
//! a permutation of registers. Buffers that outlive a function are wiped; the stack below
//! [`derive`] is overwritten after it.
#![expect(
    unsafe_code,
    reason = "vector instructions that are there only on some processors (ADR 12)"
)]

use std::arch::x86_64::*;

use zeroize::Zeroizing;

use super::Child;
use super::field::Field;
use super::point::Affine;
use super::table::{ENTRIES, WINDOWS, Window};
use crate::bip32::HARDENED;

/// Children per vector.
const LANES: usize = 8;
/// Vectors that share one inversion.
const GROUPS: usize = 32;
/// Most children of one call of [`derive`].
pub(super) const BATCH: usize = LANES * GROUPS;

/// Eight lanes in memory.
type Row = [u64; LANES];

#[cfg(test)]
std::thread_local! {
    /// A fault that tests ask for: passed over so many times, then this bit of the vectors at hand is flipped.
    pub(super) static FAULT: std::cell::Cell<Option<(usize, usize)>> =
        const { std::cell::Cell::new(None) };
}

/// Where a test can have a fault happen; otherwise nothing.
#[cfg(not(test))]
#[inline]
fn strike(_: &mut [__m512i]) {}

#[cfg(test)]
#[target_feature(enable = "avx512f,avx512ifma")]
fn strike(vectors: &mut [__m512i]) {
    match FAULT.get() {
        None => {}
        Some((0, bit)) => {
            let vector = &mut vectors[bit / 512 % vectors.len()];
            let mut row = [0; LANES];
            store(&mut row, *vector);
            row[bit / 64 % LANES] ^= 1 << (bit % 64);
            *vector = load(&row);
            FAULT.set(None);
        }
        Some((left, bit)) => FAULT.set(Some((left - 1, bit))),
    }
}

pub(super) fn is_available() -> bool {
    std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512ifma")
}

/// The children `first ..` of `parent`, one per element of `children`, at most [`BATCH`]. `None` on a processor
/// without the instructions.
pub(super) fn derive(
    parent: (&[u8; 32], &[u8; 32]),
    first: u32,
    table: &[Window],
    children: &mut [Child],
) -> Option<()> {
    if !is_available() || children.len() > BATCH || table.len() != WINDOWS {
        return None;
    }
    // SAFETY: the processor has the instructions, as was just asked.
    unsafe { derive_batch(parent, first, table, children) };
    super::wipe_stack();
    Some(())
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn load(row: &Row) -> __m512i {
    // SAFETY: a row is 64 bytes, and the load asks for no alignment.
    unsafe { _mm512_loadu_si512(row.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn store(row: &mut Row, value: __m512i) {
    // SAFETY: a row is 64 bytes, and the store asks for no alignment.
    unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), value) }
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn same(value: u64) -> __m512i {
    _mm512_set1_epi64(value.cast_signed())
}

// ---- SHA-512 (FIPS 180-4) and HMAC (RFC 2104) ----

type State = [__m512i; 8];
type Block = [__m512i; 16];

const START: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

const ROUNDS: [u64; 80] = [
    0x428a_2f98_d728_ae22,
    0x7137_4491_23ef_65cd,
    0xb5c0_fbcf_ec4d_3b2f,
    0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538,
    0x59f1_11f1_b605_d019,
    0x923f_82a4_af19_4f9b,
    0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242,
    0x1283_5b01_4570_6fbe,
    0x2431_85be_4ee4_b28c,
    0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f,
    0x80de_b1fe_3b16_96b1,
    0x9bdc_06a7_25c7_1235,
    0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2,
    0xefbe_4786_384f_25e3,
    0x0fc1_9dc6_8b8c_d5b5,
    0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275,
    0x4a74_84aa_6ea6_e483,
    0x5cb0_a9dc_bd41_fbd4,
    0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab,
    0xa831_c66d_2db4_3210,
    0xb003_27c8_98fb_213f,
    0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2,
    0xd5a7_9147_930a_a725,
    0x06ca_6351_e003_826f,
    0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc,
    0x2e1b_2138_5c26_c926,
    0x4d2c_6dfc_5ac4_2aed,
    0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de,
    0x766a_0abb_3c77_b2a8,
    0x81c2_c92e_47ed_aee6,
    0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364,
    0xa81a_664b_bc42_3001,
    0xc24b_8b70_d0f8_9791,
    0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218,
    0xd699_0624_5565_a910,
    0xf40e_3585_5771_202a,
    0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8,
    0x1e37_6c08_5141_ab53,
    0x2748_774c_df8e_eb99,
    0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63,
    0x4ed8_aa4a_e341_8acb,
    0x5b9c_ca4f_7763_e373,
    0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc,
    0x78a5_636f_4317_2f60,
    0x84c8_7814_a1f0_ab72,
    0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28,
    0xa450_6ceb_de82_bde9,
    0xbef9_a3f7_b2c6_7915,
    0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c,
    0xd186_b8c7_21c0_c207,
    0xeada_7dd6_cde0_eb1e,
    0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba,
    0x0a63_7dc5_a2c8_98a6,
    0x113f_9804_bef9_0dae,
    0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84,
    0x32ca_ab7b_40c7_2493,
    0x3c9e_be0a_15c9_bebc,
    0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6,
    0x597f_299c_fc65_7e2a,
    0x5fcb_6fab_3ad6_faec,
    0x6c44_198c_4a47_5817,
];

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0x96>(a, b, c)
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline(never)]
fn compress(state: &mut State, block: &Block) {
    let mut w = *block;
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for (number, constants) in ROUNDS.as_chunks::<16>().0.iter().enumerate() {
        for i in 0..16 {
            if number > 0 {
                let (old, recent) = (w[(i + 1) % 16], w[(i + 14) % 16]);
                let small_0 = xor3(
                    _mm512_ror_epi64::<1>(old),
                    _mm512_ror_epi64::<8>(old),
                    _mm512_srli_epi64::<7>(old),
                );
                let small_1 = xor3(
                    _mm512_ror_epi64::<19>(recent),
                    _mm512_ror_epi64::<61>(recent),
                    _mm512_srli_epi64::<6>(recent),
                );
                let sum = _mm512_add_epi64(w[i], small_0);
                w[i] = _mm512_add_epi64(sum, _mm512_add_epi64(w[(i + 9) % 16], small_1));
            }
            let big_1 = xor3(
                _mm512_ror_epi64::<14>(e),
                _mm512_ror_epi64::<18>(e),
                _mm512_ror_epi64::<41>(e),
            );
            let choice = _mm512_ternarylogic_epi64::<0xca>(e, f, g);
            let fed = _mm512_add_epi64(_mm512_add_epi64(h, w[i]), same(constants[i]));
            let t1 = _mm512_add_epi64(fed, _mm512_add_epi64(big_1, choice));
            let big_0 = xor3(
                _mm512_ror_epi64::<28>(a),
                _mm512_ror_epi64::<34>(a),
                _mm512_ror_epi64::<39>(a),
            );
            let majority = _mm512_ternarylogic_epi64::<0xe8>(a, b, c);
            (h, g, f, e) = (g, f, e, _mm512_add_epi64(d, t1));
            (d, c, b) = (c, b, a);
            a = _mm512_add_epi64(t1, _mm512_add_epi64(big_0, majority));
        }
    }
    for (old, new) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *old = _mm512_add_epi64(*old, new);
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn start() -> State {
    START.map(|word| same(word))
}

/// The states after the padded key of 32 bytes: the inner and the outer one.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn padded(key: &[__m512i]) -> (State, State) {
    let after = |pad: u64| {
        let mut block = [same(pad); 16];
        for (word, key) in block.iter_mut().zip(&key[..4]) {
            *word = _mm512_xor_si512(*key, same(pad));
        }
        let mut state = start();
        compress(&mut state, &block);
        state
    };
    (after(0x3636_3636_3636_3636), after(0x5c5c_5c5c_5c5c_5c5c))
}

/// One step of SLIP-10: 0x00, the parent's key and the child's number, under the parent's chain code.
/// `number` carries the hardening bit.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn child((inner, outer): &(State, State), key: &[__m512i], number: __m512i) -> State {
    let mut block = [same(0); 16];
    block[0] = _mm512_srli_epi64::<8>(key[0]);
    for i in 1..4 {
        let high = _mm512_slli_epi64::<56>(key[i - 1]);
        block[i] = _mm512_or_si512(high, _mm512_srli_epi64::<8>(key[i]));
    }
    let last = _mm512_or_si512(
        _mm512_slli_epi64::<56>(key[3]),
        _mm512_slli_epi64::<24>(number),
    );
    block[4] = _mm512_or_si512(last, same(0x80 << 16));
    block[15] = same((128 + 37) * 8);
    let mut state = *inner;
    compress(&mut state, &block);
    let mut block = [same(0); 16];
    block[..8].copy_from_slice(&state);
    block[8] = same(1 << 63);
    block[15] = same((128 + 64) * 8);
    let mut state = *outer;
    compress(&mut state, &block);
    state
}

/// The digest of a key of 32 bytes, whose first half becomes the scalar (RFC 8032, section 5.1.5).
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn expanded(key: &[__m512i]) -> State {
    let mut block = [same(0); 16];
    block[..4].copy_from_slice(&key[..4]);
    block[4] = same(1 << 63);
    block[15] = same(32 * 8);
    let mut state = start();
    compress(&mut state, &block);
    state
}

// ---- The field: five limbs of 51 bits, each below 2⁵¹ + 2¹⁵, so that 52 bits hold it ----

type Element = [__m512i; 5];

const MASK: u64 = (1 << 51) - 1;

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn times_19(a: __m512i) -> __m512i {
    let three = _mm512_add_epi64(a, _mm512_slli_epi64::<1>(a));
    _mm512_add_epi64(three, _mm512_slli_epi64::<4>(a))
}

/// Takes limbs below 2⁶².
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn carried(a: Element) -> Element {
    let mask = same(MASK);
    let low = |i: usize| _mm512_and_si512(a[i], mask);
    let high = |i: usize| _mm512_srli_epi64::<51>(a[i]);
    [
        _mm512_add_epi64(low(0), times_19(high(4))),
        _mm512_add_epi64(low(1), high(0)),
        _mm512_add_epi64(low(2), high(1)),
        _mm512_add_epi64(low(3), high(2)),
        _mm512_add_epi64(low(4), high(3)),
    ]
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn plus(a: &Element, b: &Element) -> Element {
    carried([
        _mm512_add_epi64(a[0], b[0]),
        _mm512_add_epi64(a[1], b[1]),
        _mm512_add_epi64(a[2], b[2]),
        _mm512_add_epi64(a[3], b[3]),
        _mm512_add_epi64(a[4], b[4]),
    ])
}

/// Adds twice the modulus, whose limbs are above those of `b`.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn minus(a: &Element, b: &Element) -> Element {
    let (first, other) = (same((1 << 52) - 38), same((1 << 52) - 2));
    carried([
        _mm512_sub_epi64(_mm512_add_epi64(a[0], first), b[0]),
        _mm512_sub_epi64(_mm512_add_epi64(a[1], other), b[1]),
        _mm512_sub_epi64(_mm512_add_epi64(a[2], other), b[2]),
        _mm512_sub_epi64(_mm512_add_epi64(a[3], other), b[3]),
        _mm512_sub_epi64(_mm512_add_epi64(a[4], other), b[4]),
    ])
}

/// A product of limbs i and j has its lower 52 bits at limb i + j and its upper ones, twice, at the next.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn times(a: &Element, b: &Element) -> Element {
    let mut low = [same(0); 10];
    let mut high = [same(0); 10];
    for i in 0..5 {
        for j in 0..5 {
            low[i + j] = _mm512_madd52lo_epu64(low[i + j], a[i], b[j]);
            high[i + j + 1] = _mm512_madd52hi_epu64(high[i + j + 1], a[i], b[j]);
        }
    }
    let mut sums = [same(0); 5];
    for (i, sum) in sums.iter_mut().enumerate() {
        let at = |k: usize| _mm512_add_epi64(low[k], _mm512_slli_epi64::<1>(high[k]));
        *sum = _mm512_add_epi64(at(i), times_19(at(i + 5)));
    }
    carried(sums)
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline(never)]
fn squared_times(a: &Element, count: u32) -> Element {
    let mut a = *a;
    for _ in 0..count {
        a = times(&a, &a);
    }
    a
}

/// The power p − 2.
#[target_feature(enable = "avx512f,avx512ifma")]
fn inverted(a: &Element) -> Element {
    let two = squared_times(a, 1);
    let nine = times(&squared_times(&two, 2), a);
    let eleven = times(&nine, &two);
    let ones_5 = times(&squared_times(&eleven, 1), &nine);
    let ones_10 = times(&squared_times(&ones_5, 5), &ones_5);
    let ones_20 = times(&squared_times(&ones_10, 10), &ones_10);
    let ones_40 = times(&squared_times(&ones_20, 20), &ones_20);
    let ones_50 = times(&squared_times(&ones_40, 10), &ones_10);
    let ones_100 = times(&squared_times(&ones_50, 50), &ones_50);
    let ones_200 = times(&squared_times(&ones_100, 100), &ones_100);
    let ones_250 = times(&squared_times(&ones_200, 50), &ones_50);
    times(&squared_times(&ones_250, 5), &eleven)
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn one() -> Element {
    [same(1), same(0), same(0), same(0), same(0)]
}

// ---- The curve ----

struct Point {
    x: Element,
    y: Element,
    z: Element,
    t: Element,
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn from_factors(e: &Element, f: &Element, g: &Element, h: &Element) -> Point {
    Point {
        x: times(e, f),
        y: times(g, h),
        z: times(f, g),
        t: times(e, h),
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn from_halves(a: &Element, b: &Element, c: &Element, d: &Element) -> Point {
    let (e, f, g, h) = (minus(b, a), minus(d, c), plus(d, c), plus(b, a));
    from_factors(&e, &f, &g, &h)
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn doubled(p: &Point) -> Point {
    let (xx, yy, zz) = (times(&p.x, &p.x), times(&p.y, &p.y), times(&p.z, &p.z));
    let sum = plus(&p.x, &p.y);
    let h = plus(&xx, &yy);
    let e = minus(&h, &times(&sum, &sum));
    let g = minus(&xx, &yy);
    let f = plus(&plus(&zz, &zz), &g);
    from_factors(&e, &f, &g, &h)
}

/// The entry of each lane's own digit (−15 to 16): chosen by permuting registers, negated by exchanging
/// and subtracting under a mask.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn chosen(window: &Window, digit: __m512i) -> [Element; 3] {
    let zero = same(0);
    let negative = _mm512_cmplt_epi64_mask(digit, zero);
    let some = _mm512_cmpneq_epi64_mask(digit, zero);
    let position = _mm512_sub_epi64(_mm512_abs_epi64(digit), same(1));
    let mut entry = [[zero; 5]; 3];
    for (limb, row) in entry.as_flattened_mut().iter_mut().zip(window) {
        let [low, high] = halves(row);
        let picked = _mm512_permutex2var_epi64(load(low), position, load(high));
        *limb = _mm512_maskz_mov_epi64(some, picked);
    }
    let [mut plus, mut less, mut product] = entry;
    plus[0] = _mm512_mask_mov_epi64(same(1), some, plus[0]);
    less[0] = _mm512_mask_mov_epi64(same(1), some, less[0]);
    let opposite = minus(&[zero; 5], &product);
    for i in 0..5 {
        let (a, b) = (plus[i], less[i]);
        plus[i] = _mm512_mask_mov_epi64(a, negative, b);
        less[i] = _mm512_mask_mov_epi64(b, negative, a);
        product[i] = _mm512_mask_mov_epi64(product[i], negative, opposite[i]);
    }
    [plus, less, product]
}

fn halves(row: &[u64; ENTRIES]) -> &[Row; 2] {
    row.as_chunks::<LANES>()
        .0
        .as_array()
        .expect("sixteen are twice eight")
}

/// The multiple of the base point by an eighth of the clamped scalar, which is a multiple of eight.
#[target_feature(enable = "avx512f,avx512ifma")]
fn multiplied(scalar: &[__m512i; 4], table: &[Window]) -> Point {
    let mut sum = Point {
        x: [same(0); 5],
        y: one(),
        z: one(),
        t: [same(0); 5],
    };
    let mut carry = same(0);
    for (j, window) in table.iter().enumerate() {
        let (word, bit) = (5 * j / 64, (5 * j % 64) as u32);
        let mut raw = _mm512_srl_epi64(scalar[word], _mm_cvtsi32_si128(bit as i32));
        if bit > 59 && word < 3 {
            let above = _mm512_sll_epi64(scalar[word + 1], _mm_cvtsi32_si128(64 - bit as i32));
            raw = _mm512_or_si512(raw, above);
        }
        let raw = _mm512_add_epi64(_mm512_and_si512(raw, same(31)), carry);
        // One where the digit is above 16, and then 32 less.
        carry = _mm512_srli_epi64::<5>(_mm512_add_epi64(raw, same(15)));
        let digit = _mm512_sub_epi64(raw, _mm512_slli_epi64::<5>(carry));
        let [y_plus_x, y_minus_x, two_d_xy] = chosen(window, digit);
        let a = times(&minus(&sum.y, &sum.x), &y_minus_x);
        let b = times(&plus(&sum.y, &sum.x), &y_plus_x);
        let c = times(&sum.t, &two_d_xy);
        sum = from_halves(&a, &b, &c, &plus(&sum.z, &sum.z));
        strike(&mut sum.x);
        strike(&mut sum.t);
    }
    sum
}

/// The clamped scalar's eighth: little-endian words of the digest's first half, without the three lowest bits.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn eighth(digest: &State) -> [__m512i; 4] {
    let mut rows = Zeroizing::new([[0; LANES]; 4]);
    for (row, word) in rows.iter_mut().zip(digest) {
        store(row, *word);
        for lane in row {
            *lane = lane.swap_bytes();
        }
    }
    let words = [
        load(&rows[0]),
        load(&rows[1]),
        load(&rows[2]),
        load(&rows[3]),
    ];
    let top = _mm512_and_si512(words[3], same((1 << 62) - 1));
    let top = _mm512_or_si512(top, same(1 << 62));
    let shifted = |low: __m512i, high: __m512i| {
        _mm512_or_si512(_mm512_srli_epi64::<3>(low), _mm512_slli_epi64::<61>(high))
    };
    [
        shifted(words[0], words[1]),
        shifted(words[1], words[2]),
        shifted(words[2], top),
        _mm512_srli_epi64::<3>(top),
    ]
}

/// Coordinates x, y, z of a point in memory.
type Stored = [[Row; 5]; 3];

#[target_feature(enable = "avx512f,avx512ifma")]
fn put(stored: &mut Stored, point: &Point) {
    for (rows, element) in stored.iter_mut().zip([&point.x, &point.y, &point.z]) {
        for (row, limb) in rows.iter_mut().zip(element) {
            store(row, *limb);
        }
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn get(rows: &[Row; 5]) -> Element {
    [
        load(&rows[0]),
        load(&rows[1]),
        load(&rows[2]),
        load(&rows[3]),
        load(&rows[4]),
    ]
}

/// The eighth, the quarter, the half and the whole of eight children, each with the product of all the
/// z before its own. Projective coordinates tell of the way they were computed, hence the wiping.
type Quarters = [(Stored, [Row; 5]); 4];

#[target_feature(enable = "avx512f,avx512ifma")]
fn derive_batch(
    parent: (&[u8; 32], &[u8; 32]),
    first: u32,
    table: &[Window],
    children: &mut [Child],
) {
    let words = |bytes: &[u8; 32]| -> [__m512i; 4] {
        let (words, _) = bytes.as_chunks::<8>();
        [
            same(u64::from_be_bytes(words[0])),
            same(u64::from_be_bytes(words[1])),
            same(u64::from_be_bytes(words[2])),
            same(u64::from_be_bytes(words[3])),
        ]
    };
    let key = words(parent.0);
    let pads = padded(&words(parent.1));
    let groups = children.len().div_ceil(LANES);
    let mut points: Zeroizing<Vec<Quarters>> =
        Zeroizing::new(vec![[([[[0; LANES]; 5]; 3], [[0; LANES]; 5]); 4]; groups]);
    let mut product = one();
    for (group, quarters) in points.iter_mut().enumerate() {
        // Beyond the last child the lanes compute something that nobody reads.
        let start = u64::from(first | HARDENED) + (group * LANES) as u64;
        let numbers = _mm512_and_si512(
            _mm512_add_epi64(same(start), _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0)),
            same(u64::from(u32::MAX)),
        );
        let mut account = child(&pads, &key, numbers);
        strike(&mut account);
        let mut leaf = child(&padded(&account[4..]), &account[..4], same(HARDENED.into()));
        strike(&mut leaf);
        let mut scalar = eighth(&expanded(&leaf[..4]));
        strike(&mut scalar);
        let mut point = multiplied(&scalar, table);
        for (at, (stored, before)) in quarters.iter_mut().enumerate() {
            if at > 0 {
                point = doubled(&point);
            }
            strike(&mut point.y);
            strike(&mut point.z);
            put(stored, &point);
            for (row, limb) in before.iter_mut().zip(product) {
                store(row, limb);
            }
            product = times(&product, &point.z);
        }
    }
    let mut inverse = inverted(&product);
    strike(&mut inverse);
    for (quarters, children) in points.iter().zip(children.chunks_mut(LANES)).rev() {
        for (at, (stored, before)) in quarters.iter().enumerate().rev() {
            let mut own = times(&inverse, &get(before));
            strike(&mut own);
            inverse = times(&inverse, &get(&stored[2]));
            let (x, y) = (times(&get(&stored[0]), &own), times(&get(&stored[1]), &own));
            hand_out(children, at, &x, &y);
        }
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn hand_out(children: &mut [Child], at: usize, x: &Element, y: &Element) {
    let mut rows = [[[0; LANES]; 5]; 2];
    for (rows, element) in rows.iter_mut().zip([x, y]) {
        for (row, limb) in rows.iter_mut().zip(element) {
            store(row, *limb);
        }
    }
    let of = |rows: &[Row; 5], lane: usize| Field(std::array::from_fn(|i| rows[i][lane]));
    for (lane, child) in children.iter_mut().enumerate() {
        child.steps[at] = Affine {
            x: of(&rows[0], lane),
            y: of(&rows[1], lane),
        };
    }
}
