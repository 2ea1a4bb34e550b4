//! Frames and messages on the channel to the signer.
