/// What can go wrong between `coffer` and the signer.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The signer is down, restarting, or did not answer in time: try again later.
    #[error("the signer cannot be reached: {0}")]
    Unreachable(String),
    /// The signer answered that it will not do this; asking again changes nothing.
    #[error("the signer refused: {0}")]
    Refused(String),
    /// The signer's answer breaks the protocol, or its attestation does not verify: not to be trusted.
    #[error("the signer's answer cannot be trusted: {0}")]
    Untrusted(String),
}
