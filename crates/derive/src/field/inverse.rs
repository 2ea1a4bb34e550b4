//! Inverses by division steps ([Bernstein and Yang](https://gcd.cr.yp.to/safegcd-20190413.pdf)), 62 at a time on
//! the lowest words alone. One in a thousand operations, and at that still a seventh of them in time with a
//! general inversion.

use super::{LIMBS, Limbs, MASK, P, pack, reduce};

/// Words of 62 bits, the lowest first; the last one has the sign.
type Signed = [i64; 5];

const BITS: u32 = 62;
const LOW: i64 = i64::MAX >> 1;
const MODULUS: Signed = signed(&pack(&P));
/// −1/p modulo 2⁶².
const NEGATED_INVERSE: i64 = {
    let p = MODULUS[0];
    let mut inverse = 1_i64;
    let mut i = 0;
    // Each round doubles the number of bits that are right.
    while i < 6 {
        inverse = inverse.wrapping_mul(2_i64.wrapping_sub(p.wrapping_mul(inverse)));
        i += 1;
    }
    inverse.wrapping_neg()
};
/// 724 steps are enough for 256 bits.
const ROUNDS_MAX: usize = 12;

/// 2⁶² times what 62 steps make of f and g: (uf + vg, qf + rg).
struct Steps {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

/// `None` for zero. Takes what [`reduce`] takes; canonical.
pub(crate) fn invert(element: Limbs) -> Option<Limbs> {
    let mut f = MODULUS;
    let mut g = signed(&pack(&reduce(element)));
    if g == [0; 5] {
        return None;
    }
    // f = d·element and g = e·element modulo p, throughout.
    let (mut d, mut e) = ([0; 5], [1, 0, 0, 0, 0]);
    let mut delta = 1;
    for _ in 0..ROUNDS_MAX {
        let steps = steps(&mut delta, f[0], g[0]);
        (f, g) = (
            combine(steps.u, &f, steps.v, &g, 0),
            combine(steps.q, &f, steps.r, &g, 0),
        );
        (d, e) = (
            combine_modulo(steps.u, &d, steps.v, &e),
            combine_modulo(steps.q, &d, steps.r, &e),
        );
        if g == [0; 5] {
            break;
        }
    }
    assert!(g == [0; 5], "the steps end");
    // f is 1 or −1 now, and d grew by no more than p/2 a round.
    let sign = if f[4] < 0 { -1 } else { 1 };
    Some(reduce(regrouped(&combine_plainly(sign, &d, 8, &MODULUS))))
}

const fn signed(words: &[u64; 4]) -> Signed {
    let [a, b, c, d] = *words;
    [
        a as i64 & LOW,
        (a >> 62 | b << 2) as i64 & LOW,
        (b >> 60 | c << 4) as i64 & LOW,
        (c >> 58 | d << 6) as i64 & LOW,
        (d >> 56) as i64,
    ]
}

/// Variable-time: runs of zero bits go at once.
fn steps(delta: &mut i64, f: i64, g: i64) -> Steps {
    let (mut f, mut g) = (f as u64, g as u64);
    let (mut u, mut v, mut q, mut r) = (1, 0, 0, 1);
    let mut left = BITS;
    loop {
        let zeros = (g | u64::MAX << left).trailing_zeros();
        g >>= zeros;
        (u, v) = (u << zeros, v << zeros);
        *delta += i64::from(zeros);
        left -= zeros;
        if left == 0 {
            return Steps { u, v, q, r };
        }
        if *delta > 0 {
            *delta = -*delta;
            (f, g) = (g, f.wrapping_neg());
            (u, v, q, r) = (q, r, -u, -v);
        }
        g = g.wrapping_add(f);
        (q, r) = (q + u, r + v);
    }
}

fn wide(a: i64, b: i64) -> i128 {
    i128::from(a) * i128::from(b)
}

/// (`a`·f + `b`·g + `m`·p) / 2⁶², which is whole.
fn combine(a: i64, f: &Signed, b: i64, g: &Signed, m: i64) -> Signed {
    let sum = |i: usize| wide(a, f[i]) + wide(b, g[i]) + wide(m, MODULUS[i]);
    let mut carry = sum(0) >> BITS;
    let mut out = [0; 5];
    for i in 1..5 {
        carry += sum(i);
        out[i - 1] = carry as i64 & LOW;
        carry >>= BITS;
    }
    out[4] = carry as i64;
    out
}

fn combine_modulo(a: i64, d: &Signed, b: i64, e: &Signed) -> Signed {
    let low = a.wrapping_mul(d[0]).wrapping_add(b.wrapping_mul(e[0]));
    // Of 62 bits, from −2⁶¹ on.
    let m = low.wrapping_mul(NEGATED_INVERSE) << 2 >> 2;
    combine(a, d, b, e, m)
}

/// `a`·f + `b`·g.
fn combine_plainly(a: i64, f: &Signed, b: i64, g: &Signed) -> Signed {
    let mut carry = 0_i128;
    std::array::from_fn(|i| {
        carry += wide(a, f[i]) + wide(b, g[i]);
        let word = carry as i64 & LOW;
        carry >>= BITS;
        word
    })
}

/// Limbs of what is not negative and below 2²⁶⁰.
fn regrouped(words: &Signed) -> Limbs {
    let mut limbs = [0; LIMBS];
    let (mut bits, mut held, mut at) = (0_u128, 0, 0);
    for word in words {
        bits |= (*word as u128) << held;
        held += BITS;
        while held >= 52 && at < LIMBS {
            limbs[at] = bits as u64 & MASK;
            (bits, held, at) = (bits >> 52, held - 52, at + 1);
        }
    }
    limbs
}
