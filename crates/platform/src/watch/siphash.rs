//! SipHash-1-3 ([Aumasson and Bernstein](https://www.aumasson.jp/siphash/siphash.pdf)) of short inputs.
//!
//! A keyed hash whose collisions cannot be looked for without the key. Written out here because the standard
//! library's is not to be had under a key of one's own.

/// A random key.
#[derive(Clone, Copy)]
pub(super) struct SipKey(u64, u64);

struct State([u64; 4]);

impl State {
    fn round(&mut self) {
        let [v0, v1, v2, v3] = &mut self.0;
        *v0 = v0.wrapping_add(*v1);
        *v1 = v1.rotate_left(13) ^ *v0;
        *v0 = v0.rotate_left(32);
        *v2 = v2.wrapping_add(*v3);
        *v3 = v3.rotate_left(16) ^ *v2;
        *v0 = v0.wrapping_add(*v3);
        *v3 = v3.rotate_left(21) ^ *v0;
        *v2 = v2.wrapping_add(*v1);
        *v1 = v1.rotate_left(17) ^ *v2;
        *v2 = v2.rotate_left(32);
    }

    fn take<const ROUNDS: usize>(&mut self, word: u64) {
        self.0[3] ^= word;
        (0..ROUNDS).for_each(|_| self.round());
        self.0[0] ^= word;
    }
}

impl SipKey {
    pub(super) fn new(key: [u8; 16]) -> Self {
        let (low, high) = key.split_at(8);
        let word = |half: &[u8]| u64::from_le_bytes(half.try_into().expect("half of 16 bytes"));
        Self(word(low), word(high))
    }

    pub(super) fn hash(self, bytes: &[u8]) -> u64 {
        self.rounds::<1, 3>(bytes)
    }

    fn rounds<const COMPRESSION: usize, const FINALIZATION: usize>(self, bytes: &[u8]) -> u64 {
        let mut state = State([
            self.0 ^ 0x736f_6d65_7073_6575,
            self.1 ^ 0x646f_7261_6e64_6f6d,
            self.0 ^ 0x6c79_6765_6e65_7261,
            self.1 ^ 0x7465_6462_7974_6573,
        ]);
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            state.take::<COMPRESSION>(u64::from_le_bytes(word.try_into().expect("eight bytes")));
        }
        let mut last = [0; 8];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        last[7] = bytes.len().to_le_bytes()[0];
        state.take::<COMPRESSION>(u64::from_le_bytes(last));
        state.0[2] ^= 0xff;
        (0..FINALIZATION).for_each(|_| state.round());
        state.0[0] ^ state.0[1] ^ state.0[2] ^ state.0[3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paper's own vector, appendix A; it is of SipHash-2-4.
    #[test]
    fn the_papers_vector() {
        let ascending: Vec<u8> = (0..15).collect();
        let key = SipKey::new(std::array::from_fn(|at| u8::try_from(at).expect("small")));
        assert_eq!(key.rounds::<2, 4>(&ascending), 0xa129_ca61_49be_45e5);
    }
}
