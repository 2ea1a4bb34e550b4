/// Why nothing was derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeriveError {
    #[error("the parent is not a compressed point of secp256k1")]
    NotAPublicKey,
    #[error(
        "child indexes from {first}, {count} of them, reach beyond 2^31: only hardened ones lie there"
    )]
    IndexOutOfRange { first: u32, count: u32 },
    /// Chance below 2⁻¹²⁷ for each index. BIP-32 asks to go on with the next index.
    #[error("index {index} of this key has no child (bip-32)")]
    InvalidChild { index: u32 },
}
