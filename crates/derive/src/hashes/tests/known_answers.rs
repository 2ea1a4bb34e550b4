//! Official vectors, on every set of instructions.

use super::super::words::{Isa, Kernel, Words, run};
use super::super::{ripemd160, sha256, sha512};
use super::*;

/// One compression of SHA-512 with the same block in all lanes; the last lane is taken.
struct Compress512<'a>(&'a mut [u64; 8], [u64; 16]);

impl Kernel for Compress512<'_> {
    #[inline(always)]
    fn vectors<I: Isa>(self, isa: I) {
        let start = self.0.map(|word| isa.splat64(word));
        let end = sha512::compress(isa, start, self.1.map(|word| isa.splat64(word)));
        let mut lanes = [0; 8];
        for (word, vector) in self.0.iter_mut().zip(end) {
            vector.store(&mut lanes);
            *word = lanes[I::U64::LANES - 1];
        }
    }

    fn portable(self) {
        let block = self.1.map(u64::to_be_bytes);
        let block = block
            .as_flattened()
            .try_into()
            .expect("16 words of 8 bytes");
        sha2::block_api::compress512(self.0, &[block]);
    }
}

/// SHA-256, then RIPEMD-160, of messages whose padded forms are these blocks.
struct Blocks32<'a>([u32; 16], &'a mut [u32; 8], [u32; 16], &'a mut [u32; 5]);

impl Kernel for Blocks32<'_> {
    #[inline(always)]
    fn vectors<I: Isa>(self, isa: I) {
        let mut lanes = [0; 16];
        let start = sha256::INITIAL.map(|word| isa.splat32(word));
        let end = sha256::compress(isa, start, self.0.map(|word| isa.splat32(word)));
        for (word, vector) in self.1.iter_mut().zip(end) {
            vector.store(&mut lanes);
            *word = lanes[I::U32::LANES - 1];
        }
        let hash = ripemd160::hash(isa, &self.2.map(|word| isa.splat32(word)));
        for (word, vector) in self.3.iter_mut().zip(hash) {
            vector.store(&mut lanes);
            *word = lanes[I::U32::LANES - 1];
        }
    }

    fn portable(self) {
        unreachable!("asked for vectors only");
    }
}

/// `message` behind `prefix_len` bytes that are hashed already, padded to one block.
fn block<const N: usize>(message: &[u8], prefix_len: usize) -> [u8; N] {
    let mut block = [0; N];
    block[..message.len()].copy_from_slice(message);
    block[message.len()] = 0x80;
    let bits = 8 * (prefix_len + message.len()) as u64;
    block[N - 8..].copy_from_slice(&bits.to_be_bytes());
    block
}

fn words64(block: [u8; 128]) -> [u64; 16] {
    from_fn(|i| u64::from_be_bytes(block.as_chunks::<8>().0[i]))
}

fn words32(block: [u8; 64]) -> [u32; 16] {
    from_fn(|i| u32::from_be_bytes(block.as_chunks::<4>().0[i]))
}

/// [RFC 4231](https://www.rfc-editor.org/rfc/rfc4231), cases 1 to 4: those whose key and data take one block.
#[test]
fn hmac_sha512_of_rfc_4231() {
    let check = |key: &[u8], data: &[u8], expected: &str| {
        for &arch in Arch::available() {
            let padded = |pad: u8| {
                let mut bytes = [pad; 128];
                bytes
                    .iter_mut()
                    .zip(key)
                    .for_each(|(byte, key)| *byte ^= key);
                let mut state = sha512::INITIAL;
                run(arch, Compress512(&mut state, words64(bytes)));
                state
            };
            let (mut inner, mut outer) = (padded(0x36), padded(0x5c));
            run(arch, Compress512(&mut inner, words64(block(data, 128))));
            let inner = inner.map(u64::to_be_bytes);
            run(
                arch,
                Compress512(&mut outer, words64(block(inner.as_flattened(), 128))),
            );
            let outer = outer.map(u64::to_be_bytes);
            assert_eq!(hex::encode(outer.as_flattened()), expected, "{arch:?}");
        }
    };
    check(
        &[0x0b; 20],
        b"Hi There",
        "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
    );
    check(
        b"Jefe",
        b"what do ya want for nothing?",
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
    );
    check(
        &[0xaa; 20],
        &[0xdd; 50],
        "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
    );
    check(
        &from_fn::<u8, 25, _>(|i| i as u8 + 1),
        &[0xcd; 50],
        "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3dba91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd",
    );
}

/// Of [FIPS 180](https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values) and of
/// [RIPEMD-160's authors](https://homes.esat.kuleuven.be/~bosselae/ripemd160.html).
#[test]
fn sha256_and_ripemd160_of_short_messages() {
    let check = |message: &[u8], sha: &str, ripemd: &str| {
        for &arch in Arch::available()
            .iter()
            .filter(|arch| **arch != Arch::Portable)
        {
            let mut found = ([0; 8], [0; 5]);
            let mut little = words32(block(message, 0)).map(u32::swap_bytes);
            (little[14], little[15]) = (little[15].swap_bytes(), little[14]);
            let blocks = Blocks32(
                words32(block(message, 0)),
                &mut found.0,
                little,
                &mut found.1,
            );
            run(arch, blocks);
            let bytes = found.0.map(u32::to_be_bytes);
            assert_eq!(hex::encode(bytes.as_flattened()), sha, "{arch:?}");
            let bytes = found.1.map(u32::to_le_bytes);
            assert_eq!(hex::encode(bytes.as_flattened()), ripemd, "{arch:?}");
        }
    };
    check(
        b"",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "9c1185a5c5e9fc54612808977ee8f548b2258d31",
    );
    check(
        b"a",
        "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        "0bdc9d2d256b3ee9daae347be6f4dc835a467ffe",
    );
    check(
        b"abc",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc",
    );
    check(
        b"message digest",
        "f7846f55cf23e14eebeab5b4e1550cad5b509e3348fbc4efa3a1413d393cb650",
        "5d0689ef49d2fae572b881b123a85ffa21595f36",
    );
}

/// The generator, of private key 1: its addresses are known to everyone.
#[test]
fn payloads_of_the_generator() {
    let bytes = |text: &str| -> [u8; 32] { from_fn(|i| hex::decode(text).expect("hex")[i]) };
    let x = [bytes(
        "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    )];
    let y = [bytes(
        "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8",
    )];
    for &arch in Arch::available() {
        for keccak in [keccak20, second::keccak20] {
            let mut out = [0; 20];
            keccak(arch, &x, &y, &mut out);
            assert_eq!(hex::encode(out), "7e5f4552091a69125d5dfcb7b8c2659029395bdf");
        }
        for hash160 in [hash160, second::hash160] {
            let mut out = [0; 20];
            hash160(arch, &x, &[false], &mut out);
            assert_eq!(hex::encode(out), "751e76e8199196d454941c45d1b3a323f1433bd6");
        }
    }
}

/// The first of the key path vectors of
/// [BIP-341](https://github.com/bitcoin/bips/blob/master/bip-0341/wallet-test-vectors.json).
#[test]
fn tap_tweak_of_bip_341() {
    let key = hex::decode("d6889cb081036e0faefa3a35157ad71086b123b2b144b649798b494c300a961d");
    let x = [from_fn(|i| key.as_ref().expect("hex")[i])];
    for &arch in Arch::available() {
        let mut found = [[0; 32]; 2];
        TapTweak::new().of(arch, &x, &mut found[..1]);
        second::TapTweak::new().of(arch, &x, &mut found[1..]);
        for found in found {
            assert_eq!(
                hex::encode(found),
                "b86e7be8f39bab32a6f2c0443abbc210f0edac0e2c53d501b36b64437d9c6c70"
            );
        }
    }
}
