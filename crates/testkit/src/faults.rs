//! Fault-injecting wrappers around the real signer: it can be made to go away, or to keep one waiting.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use coffer_signing::{AccountSpec, SealKey, SignedDescriptor, Signer, SignerError, SignerIdentity};

/// How many more bulk derivations are answered; `None`: all.
#[derive(Default)]
struct Allowance {
    left: Option<u32>,
    held: bool,
    /// Calls that wait now.
    waiting: u32,
}

/// Passes every call on to the real signer; bulk derivation only as far as the test allows.
pub struct FaultySigner {
    real: Arc<dyn Signer>,
    allowance: Mutex<Allowance>,
    changed: Condvar,
}

impl FaultySigner {
    #[must_use]
    pub fn around(real: Arc<dyn Signer>) -> Arc<Self> {
        Arc::new(Self {
            real,
            allowance: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    fn set(&self, change: impl FnOnce(&mut Allowance)) {
        change(
            &mut self
                .allowance
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        self.changed.notify_all();
    }

    /// After `calls` more derivations the signer cannot be reached.
    pub fn dies_after(&self, calls: u32) {
        self.set(|allowance| allowance.left = Some(calls));
    }

    pub fn is_back(&self) {
        self.set(|allowance| allowance.left = None);
    }

    /// Derivations wait from now on.
    pub fn hold(&self) {
        self.set(|allowance| allowance.held = true);
    }

    pub fn release(&self) {
        self.set(|allowance| allowance.held = false);
    }

    /// Whether a derivation waits.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.allowance
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .waiting
            > 0
    }

    fn pass(&self) -> Result<(), SignerError> {
        let mut allowance = self
            .allowance
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        allowance.waiting += 1;
        let mut allowance = self
            .changed
            .wait_while(allowance, |a| a.held)
            .unwrap_or_else(PoisonError::into_inner);
        allowance.waiting -= 1;
        match &mut allowance.left {
            Some(0) => Err(SignerError::Unreachable("the test took it away".to_owned())),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Signer for FaultySigner {
    fn identity(&self) -> Result<SignerIdentity, SignerError> {
        self.real.identity()
    }

    fn seal_key(&self) -> Result<SealKey, SignerError> {
        self.real.seal_key()
    }

    fn account_descriptors(&self, spec: AccountSpec) -> Result<Vec<SignedDescriptor>, SignerError> {
        self.real.account_descriptors(spec)
    }

    fn solana_public_keys(
        &self,
        first_child: u32,
        count: u32,
    ) -> Result<Vec<[u8; 32]>, SignerError> {
        self.pass()?;
        self.real.solana_public_keys(first_child, count)
    }
}
