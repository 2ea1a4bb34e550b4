//! The compression functions of SHA-512 and SHA-256 over columns.
//!
//! In the form of two sequences of words: the four letters a to d of the standard are always four
//! successive words of one, e to h of the other.

macro_rules! compression {
    ($name:ident, $word:ident, $rounds:literal, $big_a:expr, $big_e:expr, $small_0:expr, $small_1:expr, [$($later:literal)*]) => {
        pub(super) mod $name {
            use super::super::{Column, LANES, sixteen_times};

            /// Leaves the next state. All rounds of one key are one body of the loop, so that its state and its
            /// sixteen words stay in registers; `words` gives word T of a lane, and where it is a constant, the
            /// compiler can know.
            #[inline(always)]
            pub(in super::super) fn compress(
                constants: &[$word; $rounds],
                state: &mut [Column<$word>; 8],
                words: impl Fn(usize, usize) -> $word,
            ) {
                let constants = constants.as_chunks::<16>().0;
                let [a, b, c, d, e, f, g, h] = state;
                for lane in 0..LANES {
                    let mut halves = [
                        [d.0[lane], c.0[lane], b.0[lane], a.0[lane]],
                        [h.0[lane], g.0[lane], f.0[lane], e.0[lane]],
                    ];
                    let mut w = [0; 16];
                    sixteen_times!(T { w[T] = words(T, lane); });
                    halves = sixteen_rounds(&constants[0], halves, &w);
                    $(
                        w = expand(w);
                        halves = sixteen_rounds(&constants[$later], halves, &w);
                    )*
                    let [first, second] = halves;
                    a.0[lane] = a.0[lane].wrapping_add(first[3]);
                    b.0[lane] = b.0[lane].wrapping_add(first[2]);
                    c.0[lane] = c.0[lane].wrapping_add(first[1]);
                    d.0[lane] = d.0[lane].wrapping_add(first[0]);
                    e.0[lane] = e.0[lane].wrapping_add(second[3]);
                    f.0[lane] = f.0[lane].wrapping_add(second[2]);
                    g.0[lane] = g.0[lane].wrapping_add(second[1]);
                    h.0[lane] = h.0[lane].wrapping_add(second[0]);
                }
            }

            #[inline(always)]
            fn expand(mut w: [$word; 16]) -> [$word; 16] {
                sixteen_times!(T {
                    let old = w[(T + 1) % 16];
                    let new = w[(T + 14) % 16];
                    w[T] = w[T]
                        .wrapping_add(w[(T + 9) % 16])
                        .wrapping_add(new.rotate_right($small_1[0]) ^ new.rotate_right($small_1[1]) ^ new >> $small_1[2])
                        .wrapping_add(old.rotate_right($small_0[0]) ^ old.rotate_right($small_0[1]) ^ old >> $small_0[2]);
                });
                w
            }

            #[inline(always)]
            fn sixteen_rounds(
                constants: &[$word; 16],
                [mut first, mut second]: [[$word; 4]; 2],
                words: &[$word; 16],
            ) -> [[$word; 4]; 2] {
                sixteen_times!(T {
                    let (a, b, c) = (first[(T + 3) % 4], first[(T + 2) % 4], first[(T + 1) % 4]);
                    let (e, f, g) = (second[(T + 3) % 4], second[(T + 2) % 4], second[(T + 1) % 4]);
                    // A rotation of all three terms at the end, instead of each.
                    let big_e = (e ^ e.rotate_right($big_e[1]) ^ e.rotate_right($big_e[2])).rotate_right($big_e[0]);
                    let big_a = (a ^ a.rotate_right($big_a[1]) ^ a.rotate_right($big_a[2])).rotate_right($big_a[0]);
                    let common = words[T]
                        .wrapping_add(constants[T])
                        .wrapping_add(second[T % 4])
                        .wrapping_add(g ^ e & (f ^ g))
                        .wrapping_add(big_e);
                    second[T % 4] = first[T % 4].wrapping_add(common);
                    first[T % 4] = common.wrapping_add(a & b | (a | b) & c).wrapping_add(big_a);
                });
                [first, second]
            }
        }
    };
}

// In the sums of three rotations the first is common to all: 28, 28 + 6, 28 + 11.
compression!(
    sha512,
    u64,
    80,
    [28, 6, 11],
    [14, 4, 27],
    [1, 8, 7],
    [19, 61, 6],
    [1 2 3 4]
);
compression!(
    sha256,
    u32,
    64,
    [2, 11, 20],
    [6, 5, 19],
    [7, 18, 3],
    [17, 19, 10],
    [1 2 3]
);
