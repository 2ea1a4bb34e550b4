//! Seeds and what is derived from them by private paths: account keys, Solana keys, the attestation
//! key and the seal key; mnemonics (BIP-39) in and out; the encrypted key file.
//!
//! Guarantees: randomness comes from the operating system or there is no key; every key that leaves
//! (as a public key) was derived by two implementations that agree, or proven with its whole chunk by a second one; every secret type of ours is
//! wiped when dropped and has neither `Debug` nor `Clone` nor `Serialize`; a key file opens only under
//! the parameters, version and identity it was written with. Not guaranteed: that the libraries
//! wipe every intermediate value on their stacks (`ring`'s HMAC and `bitcoin`'s `Xpriv`, the second
//! implementations, do not); that is why `coffer-signer` closes and locks its whole memory.
//! Deliberately not here: a private key as a result of any public call, BIP-39's optional passphrase
//! (a forgotten one loses a vault whose words are all there), extended keys as text, BIP-49 addresses.
//! Cost: in bulk and on AVX-512 IFMA a Solana key takes less than half of what one implementation takes alone; on other
//! processors two HMACs and one Ed25519 multiplication, twice over.

mod bip32;
mod entropy;
mod key_file;
mod mnemonic;
mod payload;
mod secret_file;
mod seed;
mod slip10;
mod solana;

pub use bip32::{AccountPublicKey, DerivationError};
pub use entropy::{Entropy, EntropyError, OsEntropy};
pub use key_file::{
    KEY_FILE_LIMIT_BYTES, KeyFileError, PASSPHRASE_CHARACTERS_MIN, Passphrase, PassphraseError,
    open_key_file, seal_key_file,
};
pub use mnemonic::{Mnemonic, MnemonicError};
pub use secret_file::{SecretFileError, create_secret_file, read_secret_file};
pub use seed::{AttestationKey, MasterSeed, SolanaError};
pub use solana::{PIECE as SOLANA_PIECE, SolanaPiece};

#[cfg(test)]
mod vectors;
