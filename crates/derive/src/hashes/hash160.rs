use ripemd::Ripemd160;
use sha2::{Digest, Sha256};

use super::words::{Isa, Kernel, Words, run};
use super::{ripemd160, sha256};
use crate::Arch;

const KEY_BITS: u32 = 8 * 33;
const SHA256_BITS: u32 = 8 * 32;

/// RIPEMD-160 of SHA-256 of each compressed key, 20 bytes each, one behind the other in `out`.
pub(crate) fn hash160(arch: Arch, xs: &[[u8; 32]], y_odd: &[bool], out: &mut [u8]) {
    assert!(xs.len() == y_odd.len() && out.len() == 20 * xs.len());
    run(arch, Hash160 { xs, y_odd, out });
}

struct Hash160<'a> {
    xs: &'a [[u8; 32]],
    y_odd: &'a [bool],
    out: &'a mut [u8],
}

impl Kernel for Hash160<'_> {
    #[inline(always)]
    fn vectors<I: Isa>(self, isa: I) {
        let lanes = I::U32::LANES;
        let xs = self.xs.chunks(lanes);
        let y_odd = self.y_odd.chunks(lanes);
        for ((xs, y_odd), out) in xs.zip(y_odd).zip(self.out.chunks_mut(20 * lanes)) {
            let mut tags = [0; 16];
            for (tag, y_odd) in tags.iter_mut().zip(y_odd) {
                *tag = 2 + u32::from(*y_odd);
            }
            let hashes = key_hashes(isa, isa.load32(&tags), isa.load32_columns(xs));
            let mut words = [[0; 16]; 5];
            for (words, vector) in words.iter_mut().zip(hashes) {
                vector.store(words);
            }
            for (lane, payload) in out.as_chunks_mut::<20>().0.iter_mut().enumerate() {
                for (bytes, words) in payload.as_chunks_mut::<4>().0.iter_mut().zip(&words) {
                    *bytes = words[lane].to_le_bytes();
                }
            }
        }
    }

    fn portable(self) {
        let payloads = self.out.as_chunks_mut::<20>().0;
        for ((x, y_odd), payload) in self.xs.iter().zip(self.y_odd).zip(payloads) {
            let sha = Sha256::new()
                .chain_update([2 + u8::from(*y_odd)])
                .chain_update(x)
                .finalize();
            *payload = Ripemd160::digest(sha).into();
        }
    }
}

#[inline(always)]
fn key_hashes<I: Isa>(isa: I, tags: I::U32, x: [I::U32; 8]) -> [I::U32; 5] {
    // The tag in front moves every byte of x on by one.
    let mut block = [isa.splat32(0); 16];
    let top_byte = isa.splat32(0xff00_0000);
    let mut before = tags;
    for (word, x) in block.iter_mut().zip(x) {
        *word = top_byte.choose(before.rotate_right(8), x.rotate_right(8));
        before = x;
    }
    block[8] = top_byte.choose(before.rotate_right(8), isa.splat32(0x80_0000));
    block[15] = isa.splat32(KEY_BITS);
    let start = sha256::INITIAL.map(|word| isa.splat32(word));
    let sha = sha256::compress(isa, start, block);

    let mut block = [isa.splat32(0); 16];
    let odd_bytes = isa.splat32(0xff00_ff00);
    for (word, sha) in block.iter_mut().zip(sha) {
        // Big-endian to little-endian.
        *word = odd_bytes.choose(sha.rotate_right(8), sha.rotate_left(8));
    }
    block[8] = isa.splat32(0x80);
    block[14] = isa.splat32(SHA256_BITS);
    ripemd160::hash(isa, &block)
}
