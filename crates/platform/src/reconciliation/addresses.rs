//! Which addresses a round compares: every index that a vault has given away, a bounded number at a time.

use std::collections::HashMap;
use std::sync::Arc;

use coffer_domain::address::{AddressKinds, AddressPayload};
use coffer_domain::id::{VaultId, WalletId};
use coffer_domain::network::Network;

use crate::{Error, Platform, blocking};

/// A run of indexes of one vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) vault: VaultId,
    pub(super) first: u32,
    pub(super) count: u32,
}

impl Stretch {
    /// The first and the last wallet.
    pub(super) fn wallets(&self) -> (WalletId, WalletId) {
        let last = self.first + self.count.saturating_sub(1);
        (
            WalletId::of_index(self.vault, self.first),
            WalletId::of_index(self.vault, last),
        )
    }
}

/// Payloads that were derived, by vault and first index; of each index as many as there are kinds.
pub(super) type Derived = HashMap<(VaultId, u32), Arc<Vec<AddressPayload>>>;

/// What one round compares.
pub(super) struct Targets {
    pub(super) stretches: Vec<Stretch>,
    pub(super) wallets: Vec<WalletId>,
    /// In the same order, so many of each wallet.
    pub(super) addresses: Vec<AddressPayload>,
    pub(super) per_wallet: usize,
    /// Addresses there are in all.
    pub(super) watched: u64,
}

/// The stretches that a round takes from `from` on, at most `budget` addresses, and where the next one begins.
fn stretches(vaults: &[(VaultId, u32)], from: u64, budget: u64) -> (Vec<Stretch>, u64) {
    let total: u64 = vaults.iter().map(|(_, count)| u64::from(*count)).sum();
    let from = if from < total { from } else { 0 };
    let until = total.min(from.saturating_add(budget));
    let mut taken = Vec::new();
    let mut begins = 0;
    for (vault, count) in vaults {
        let ends = begins + u64::from(*count);
        let (first, end) = (from.max(begins), until.min(ends));
        if first < end {
            let index = |at: u64| u32::try_from(at - begins).unwrap_or(u32::MAX);
            taken.push(Stretch {
                vault: *vault,
                first: index(first),
                count: index(end) - index(first),
            });
        }
        begins = ends;
    }
    (taken, if until < total { until } else { 0 })
}

impl Platform {
    /// The addresses of the network's next round.
    pub(super) async fn targets(&self, network: &Network) -> Result<Targets, Error> {
        let family = network.chain.family();
        let family = family
            .ok_or_else(|| Error::StateConflict(format!("{} is not served", network.chain)))?;
        let kinds = family.address_kinds();
        let per_wallet = kinds.iter().count();
        let rows = self.vaults_of(network.organization).await?;
        let mut vaults: Vec<(VaultId, u32)> = rows
            .iter()
            .map(|row| (row.vault.id, row.vault.next_index))
            .collect();
        vaults.sort_unstable_by_key(|(vault, _)| *vault);
        let (taken, known) = self.0.reconciling.with(network.id, |memory| {
            let (taken, next) = stretches(&vaults, memory.next, memory.budget);
            memory.next = next;
            (taken, memory.derived.clone())
        });
        let mut derived = Derived::new();
        for stretch in &taken {
            let row = rows
                .iter()
                .find(|row| row.vault.id == stretch.vault)
                .expect("the stretch was made from these rows");
            let account = self.account_keys(row)?;
            let key = (stretch.vault, stretch.first);
            let payloads = match known.get(&key) {
                Some(payloads) if payloads.len() / per_wallet >= stretch.count as usize => {
                    Arc::clone(payloads)
                }
                known => {
                    let mut payloads = known.map(|known| known.to_vec()).unwrap_or_default();
                    let have = payloads.len() / per_wallet;
                    let have = u32::try_from(have).unwrap_or(stretch.count);
                    let range = (stretch.first + have, stretch.count - have);
                    payloads.extend(self.derive_range(account, kinds, range).await?);
                    Arc::new(payloads)
                }
            };
            derived.insert(key, payloads);
        }
        let targets = collect(taken, per_wallet, &derived, &vaults);
        self.0
            .reconciling
            .with(network.id, |memory| memory.derived = derived);
        Ok(targets)
    }

    async fn derive_range(
        &self,
        account: Arc<crate::vaults::AccountKeys>,
        kinds: AddressKinds,
        (first, count): (u32, u32),
    ) -> Result<Vec<AddressPayload>, Error> {
        let platform = self.clone();
        blocking(move || {
            let signer = platform.0.signer.as_ref();
            let derivation = &platform.0.derivation;
            let derived = derivation.derive(signer, &account, kinds, (first, count))?;
            let mut payloads = Vec::new();
            for index in first..first + count {
                let of_index = derived.of(index, kinds);
                payloads
                    .extend(of_index.ok_or_else(|| {
                        Error::Internal(format!("index {index} was not derived"))
                    })?);
            }
            Ok(payloads)
        })
        .await?
    }
}

fn collect(
    stretches: Vec<Stretch>,
    per_wallet: usize,
    derived: &Derived,
    vaults: &[(VaultId, u32)],
) -> Targets {
    let mut targets = Targets {
        stretches: Vec::new(),
        wallets: Vec::new(),
        addresses: Vec::new(),
        per_wallet,
        watched: vaults.iter().map(|(_, count)| u64::from(*count)).sum(),
    };
    for stretch in stretches {
        let payloads = &derived[&(stretch.vault, stretch.first)];
        for (at, payloads) in (0..stretch.count).zip(payloads.chunks(per_wallet)) {
            let wallet = WalletId::of_index(stretch.vault, stretch.first + at);
            targets.wallets.push(wallet);
            targets.addresses.extend(payloads);
        }
        targets.stretches.push(stretch);
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_take_turns_and_leave_nobody_out() {
        let [one, none, two] = [1, 2, 3].map(|n| VaultId::of_key(&[n; 32], 0));
        let vaults = [(one, 5), (none, 0), (two, 4)];
        let stretch = |vault, first, count| Stretch {
            vault,
            first,
            count,
        };
        let all = vec![stretch(one, 0, 5), stretch(two, 0, 4)];
        assert_eq!(stretches(&vaults, 0, 100), (all.clone(), 0));
        assert_eq!(stretches(&vaults, 99, 9), (all, 0));
        assert_eq!(stretches(&vaults, 0, 3), (vec![stretch(one, 0, 3)], 3));
        let across = vec![stretch(one, 3, 2), stretch(two, 0, 1)];
        assert_eq!(stretches(&vaults, 3, 3), (across, 6));
        assert_eq!(stretches(&vaults, 6, 3), (vec![stretch(two, 1, 3)], 0));
        assert_eq!(stretches(&[], 3, 3), (vec![], 0));
        assert_eq!(stretches(&vaults, 0, u64::MAX).1, 0);
    }

    #[test]
    fn a_stretch_knows_its_wallets() {
        let vault = VaultId::of_key(&[1; 32], 0);
        let stretch = Stretch {
            vault,
            first: 7,
            count: 3,
        };
        let (first, last) = stretch.wallets();
        assert_eq!(first.index_in(vault), Some(7));
        assert_eq!(last.index_in(vault), Some(9));
    }
}
