//! The proof that one wallet was created by one record, for whoever holds an anchor and trusts nobody.
//!
//! It is put together on demand: the record's wallets are read and verified, and their tree built again. Should any
//! of their rows have been changed or removed, there is no proof for the others either, and the refusal names
//! what was touched. Cost: all wallets of the record, 8,192 at most when it is a chunk's.

use coffer_domain::id::{VaultId, WalletId};
use coffer_domain::wallet::Wallet;
use coffer_store::Tx;
use coffer_store::audit as records;
use coffer_store::wallets as rows;
use serde::Deserialize;

use super::{AuditRecord, Changes, CreatedWallets, birth, merkle};
use crate::seal::refused;
use crate::{Caller, Error, Platform};

/// Wallets looked at between two chances for other tasks.
const STEP: usize = 256;

/// A wallet, its place among those that were created with it, and the record that tells of them.
#[derive(Debug, Clone)]
pub struct WalletProof {
    pub wallet: Wallet,
    pub leaf_hash: [u8; 32],
    /// From 0, in the order of the indexes.
    pub leaf_index: usize,
    pub tree_size: usize,
    /// From the leaf upwards.
    pub path: Vec<[u8; 32]>,
    pub record: AuditRecord,
}

impl Platform {
    /// Proves that an audit record created the wallet.
    pub async fn wallet_proof(&self, caller: &Caller, id: WalletId) -> Result<WalletProof, Error> {
        let wallet = self.wallet(caller, id).await?;
        let mut tx = self.0.db.read().await?;
        self.follow(&mut tx, caller.organization).await?;
        let seq = self
            .0
            .chains
            .born_in(caller.organization, wallet.vault, wallet.index)
            .ok_or_else(|| Error::Internal(format!("no record created {id}")))?;
        let record = self.creating_record(&mut tx, caller, seq).await?;
        let created = created_by(&record)?;
        let Some(root) = &created.births_root else {
            return Err(Error::StateConflict(format!(
                "{id} was created by audit record {seq}, which is older than proofs and has no Merkle root"
            )));
        };
        let leaves = self.leaves(&mut tx, wallet.vault, &created).await?;
        if hex::encode(merkle::root(leaves.clone())) != *root {
            return Err(refused(format!("a wallet that audit record {seq} created")));
        }
        let leaf_hash = birth::leaf(&wallet);
        let leaf_index = leaves.iter().position(|leaf| *leaf == leaf_hash);
        let leaf_index = leaf_index.ok_or_else(|| refused(id.to_string()))?;
        let tree_size = leaves.len();
        let path = merkle::path(leaves, leaf_index).unwrap_or_default();
        Ok(WalletProof {
            wallet,
            leaf_hash,
            leaf_index,
            tree_size,
            path,
            record,
        })
    }

    /// The record as it was verified once, verified again.
    async fn creating_record(
        &self,
        tx: &mut Tx,
        caller: &Caller,
        seq: u64,
    ) -> Result<AuditRecord, Error> {
        let found = records::page(tx, caller.organization, seq - 1, 1).await?;
        let chains = &self.0.chains;
        chains.inspect(caller.organization, &found, &self.0.seals);
        chains.check(caller.organization)?;
        let record = found.into_iter().find(|row| row.seq == seq);
        let record = record.ok_or_else(|| refused(format!("audit record {seq}")))?;
        Ok(record.into())
    }

    async fn leaves(
        &self,
        tx: &mut Tx,
        vault: VaultId,
        created: &CreatedWallets,
    ) -> Result<Vec<merkle::Hash>, Error> {
        let mut leaves = Vec::new();
        for (first, count) in &created.runs {
            let last = first.saturating_add(count.saturating_sub(1));
            let ends = [*first, last].map(|index| WalletId::of_index(vault, index));
            let found = rows::in_range(tx, ends[0], ends[1]).await?;
            if found.len() != *count as usize {
                return Err(refused(format!(
                    "a wallet between {} and {}",
                    ends[0], ends[1]
                )));
            }
            for (number, found) in found.into_iter().enumerate() {
                let wallet = self.open_wallet(tx, found).await?;
                leaves.push(birth::leaf(&wallet));
                if number % STEP == STEP - 1 {
                    tokio::task::yield_now().await;
                }
            }
        }
        Ok(leaves)
    }
}

fn created_by(record: &AuditRecord) -> Result<CreatedWallets, Error> {
    #[derive(Deserialize)]
    struct Payload {
        changes: Changes,
    }
    serde_json::from_str::<Payload>(&record.payload)
        .ok()
        .and_then(|payload| payload.changes.created)
        .ok_or_else(|| Error::Internal(format!("audit record {} created no wallet", record.seq)))
}
