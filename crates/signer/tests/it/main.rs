//! The real `coffer-signer` process: its commands, its answers, its refusals, and what it gives up.

mod channel;
mod drill;
mod hardening;
mod init;
mod rig;
mod secrecy;
