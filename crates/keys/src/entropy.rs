//! Randomness, handed in, and closed when it fails.

/// Where random bytes come from. Key material takes it as an argument, so tests can hand in a
/// source that fails; nothing in this crate falls back to another one.
pub trait Entropy {
    /// Fills all of `bytes` or fails.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError>;

    /// Refuses a source that fails, is stuck, or repeats itself. It cannot tell a good source
    /// from a bad one; it tells a broken one.
    fn self_check(&mut self) -> Result<(), EntropyError> {
        let mut seen = [[0; 32]; 4];
        for sample in &mut seen {
            self.fill(sample)?;
        }
        let stuck = |sample: &[u8; 32]| sample.iter().all(|byte| *byte == sample[0]);
        let repeated = (1..seen.len()).any(|i| seen[..i].contains(&seen[i]));
        if repeated || seen.iter().any(stuck) {
            return Err(EntropyError::Broken);
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntropyError {
    #[error("the operating system gives no random bytes: {0}")]
    Unavailable(String),
    #[error("the source of random bytes repeats itself")]
    Broken,
}

/// `getrandom(2)`, which blocks until the kernel's pool is seeded.
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(bytes).map_err(|error| EntropyError::Unavailable(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stuck(u8);
    impl Entropy for Stuck {
        fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
            bytes.fill(self.0);
            Ok(())
        }
    }

    struct Repeating;
    impl Entropy for Repeating {
        fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
            for (byte, value) in bytes.iter_mut().zip(0..) {
                *byte = value;
            }
            Ok(())
        }
    }

    struct Failing;
    impl Entropy for Failing {
        fn fill(&mut self, _: &mut [u8]) -> Result<(), EntropyError> {
            Err(EntropyError::Unavailable("none".into()))
        }
    }

    #[test]
    fn broken_sources_are_refused_and_make_no_mnemonic() {
        assert_eq!(Stuck(0).self_check(), Err(EntropyError::Broken));
        assert_eq!(Stuck(255).self_check(), Err(EntropyError::Broken));
        assert_eq!(Repeating.self_check(), Err(EntropyError::Broken));
        assert!(Failing.self_check().is_err());
        assert_eq!(OsEntropy.self_check(), Ok(()));
        assert!(crate::Mnemonic::create(&mut Failing).is_err());
        assert!(crate::Mnemonic::create(&mut Stuck(0)).is_err());
    }
}
