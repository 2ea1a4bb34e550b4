//! Who calls: an API key of an organization, or the system itself.

use coffer_domain::id::{ApiKeyId, OrganizationId};

/// A caller whose API key was checked. Every use case takes one and sees only its organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub organization: OrganizationId,
    pub key: ApiKeyId,
    pub scopes: Vec<Scope>,
}

impl Caller {
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }

    /// The name under which the audit chain knows this caller.
    pub(crate) fn actor(&self) -> String {
        self.key.to_string()
    }
}

macro_rules! scopes {
    ($($variant:ident = $name:literal),* $(,)?) => {
        /// What an API key may do. `Admin` may do everything.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Scope { $($variant),* }

        impl Scope {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

scopes! {
    BatchesRead = "batches:read",
    BatchesWrite = "batches:write",
    WalletsRead = "wallets:read",
    WalletsWrite = "wallets:write",
    WalletsActivate = "wallets:activate",
    VaultsRead = "vaults:read",
    VaultsWrite = "vaults:write",
    NetworksRead = "networks:read",
    NetworksWrite = "networks:write",
    DepositsRead = "deposits:read",
    DepositsWrite = "deposits:write",
    LedgerRead = "ledger:read",
    EventsRead = "events:read",
    EventsWrite = "events:write",
    WebhooksRead = "webhooks:read",
    WebhooksWrite = "webhooks:write",
    AuditRead = "audit:read",
    KeysWrite = "keys:write",
    Admin = "admin",
}

impl std::str::FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|scope| scope.name() == text)
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|scope| scope.name()).collect();
                format!("{text:?} is not a scope; there are {}", names.join(", "))
            })
    }
}
