//! What an API key may be allowed to do.

use std::fmt;
use std::str::FromStr;

macro_rules! scopes {
    ($($variant:ident = $name:literal, $what:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Scope { $($variant),* }

        impl Scope {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            pub(crate) fn what(self) -> &'static str {
                match self { $(Self::$variant => $what),* }
            }
        }
    };
}

scopes! {
    BatchesRead = "batches:read", "see batches, their progress and results";
    BatchesWrite = "batches:write", "submit, pause, resume and cancel batches";
    WalletsRead = "wallets:read", "see wallets and look up addresses";
    WalletsWrite = "wallets:write", "create single wallets";
    WalletsActivate = "wallets:activate", "activate and reject pending wallets";
    VaultsRead = "vaults:read", "see vaults, their gates, lists and pools";
    VaultsWrite = "vaults:write", "change gates, lists and pools, and run restore drills";
    AuditRead = "audit:read", "read the audit log";
    KeysWrite = "keys:write", "create, list and revoke API keys";
    Admin = "admin", "everything";
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .iter()
            .copied()
            .find(|scope| scope.name() == text)
            .ok_or_else(|| UnknownScope(text.chars().take(64).collect()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a scope")]
pub(crate) struct UnknownScope(String);
