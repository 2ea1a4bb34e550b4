//! A vault: a key tree and its policy. This module holds its tier, its gate and its drill rule.

use crate::address::BitcoinNetwork;
use crate::id::{OrganizationId, VaultId};

/// A stored or sent text that names no value of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}: use {expected}")]
pub struct UnknownName {
    pub what: &'static str,
    pub text: String,
    pub expected: &'static str,
}

macro_rules! names {
    ($name:ident, $what:literal, $expected:literal, { $($variant:ident = $text:literal),* $(,)? }) => {
        impl $name {
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::vault::UnknownName;

            fn from_str(text: &str) -> Result<Self, $crate::vault::UnknownName> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err($crate::vault::UnknownName { what: $what, text: text.chars().take(64).collect(), expected: $expected }),
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use names;

/// How near to the network the vault's keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    Hot,
    Warm,
    Cold,
}
names!(Tier, "tier", "hot, warm or cold", { Hot = "hot", Warm = "warm", Cold = "cold" });

/// Whether the vault may issue addresses: only once a restore drill has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VaultState {
    AwaitingDrill,
    Open,
}
names!(VaultState, "vault state", "awaiting_drill or open", { AwaitingDrill = "awaiting_drill", Open = "open" });

/// Who decides that a pending wallet becomes active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateMode {
    /// Every wallet, at once.
    Automatic,
    /// Wallets whose external id is on the vault's list.
    AllowList,
    /// A caller who did not create the wallet.
    Manual,
    /// The customer's own KYC service, asked by a signed call.
    Hook,
}
names!(GateMode, "gate", "automatic, allow-list, manual or hook", {
    Automatic = "automatic", AllowList = "allow-list", Manual = "manual", Hook = "hook",
});

/// A gate and, for a hook, where it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    pub mode: GateMode,
    pub hook_url: Option<String>,
}

impl Gate {
    pub const AUTOMATIC: Self = Self {
        mode: GateMode::Automatic,
        hook_url: None,
    };
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vault {
    pub id: VaultId,
    pub organization: OrganizationId,
    pub name: String,
    pub tier: Tier,
    /// The hardened account number of BIP-44.
    pub account: u32,
    pub bitcoin_network: BitcoinNetwork,
    pub state: VaultState,
    pub gate: Gate,
    pub attestation_public_key: [u8; 32],
    /// The first index that no batch and no pool entry has taken.
    pub next_index: u32,
    pub created_at_ms: i64,
    /// Time of the last drill passed.
    pub drilled_at_ms: Option<i64>,
    pub version: u32,
}

/// Wallet indexes end here: BIP-32 non-hardened children.
pub const INDEX_LIMIT: u32 = 1 << 31;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllocationError {
    #[error("vault {0} has not passed a restore drill yet; run `coffer vault drill {0}`")]
    AwaitingDrill(VaultId),
    #[error("vault {vault} has {left} indexes left, {wanted} are wanted; create another vault")]
    Exhausted {
        vault: VaultId,
        left: u32,
        wanted: u32,
    },
}

impl Vault {
    /// Takes `count` contiguous indexes; returns the first.
    pub fn allocate(&mut self, count: u32) -> Result<u32, AllocationError> {
        if self.state != VaultState::Open {
            return Err(AllocationError::AwaitingDrill(self.id));
        }
        let left = INDEX_LIMIT - self.next_index;
        if count > left {
            return Err(AllocationError::Exhausted {
                vault: self.id,
                left,
                wanted: count,
            });
        }
        let first = self.next_index;
        self.next_index += count;
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(state: VaultState, next_index: u32) -> Vault {
        Vault {
            id: VaultId::of_key(&[1; 32], 0),
            organization: OrganizationId::new_v7(1, [0; 10]),
            name: "main".into(),
            tier: Tier::Hot,
            account: 0,
            bitcoin_network: BitcoinNetwork::Mainnet,
            state,
            gate: Gate::AUTOMATIC,
            attestation_public_key: [1; 32],
            next_index,
            created_at_ms: 0,
            drilled_at_ms: None,
            version: 1,
        }
    }

    #[test]
    fn no_index_before_a_drill() {
        assert!(matches!(
            vault(VaultState::AwaitingDrill, 0).allocate(1),
            Err(AllocationError::AwaitingDrill(_))
        ));
    }

    #[test]
    fn ranges_are_contiguous_and_end_at_the_limit() {
        let mut open = vault(VaultState::Open, 0);
        assert_eq!(
            (open.allocate(10), open.allocate(5), open.next_index),
            (Ok(0), Ok(10), 15)
        );
        let mut full = vault(VaultState::Open, INDEX_LIMIT - 3);
        assert!(matches!(
            full.allocate(4),
            Err(AllocationError::Exhausted {
                left: 3,
                wanted: 4,
                ..
            })
        ));
        assert_eq!(full.allocate(3), Ok(INDEX_LIMIT - 3));
    }
}
