//! Seals of progress, blocks and deposits, and opening them.

use coffer_domain::block::{BlockHeight, BlockRef};
use coffer_domain::deposit::Deposit;
use coffer_domain::id::NetworkId;
use coffer_domain::network::Network;
use coffer_store::blocks::{self, BlockRow};
use coffer_store::progress::{self, Progress};
use coffer_store::{Sealed, Tx};
use sha2::{Digest, Sha256};

use crate::seal::{Fields, Sealable, refused};
use crate::{Error, Platform};

/// Heights, counts and times of chains stay far below 2⁶³; the store refuses the others.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl Sealable for Progress {
    const TAG: &'static str = "network progress v1";

    fn fields(&self, fields: &mut Fields) {
        fields
            .bytes(self.network.as_bytes())
            .opt_int(self.tip.map(|tip| int(tip.height.0)))
            .bytes(self.tip.as_ref().map_or(&[][..], |tip| &tip.hash.0))
            .opt_int(self.finalized.map(|height| int(height.0)))
            .int(self.updated_at_ms)
            .int(int(self.version));
    }
}

impl Sealable for BlockRow {
    const TAG: &'static str = "block v1";

    fn fields(&self, fields: &mut Fields) {
        fields
            .bytes(self.network.as_bytes())
            .int(int(self.block.height.0))
            .bytes(&self.block.hash.0)
            .bytes(&self.parent.0)
            .int(int(self.unix_s))
            .int(i64::from(self.transactions))
            .int(i64::from(self.logs))
            .int(i64::from(self.movements))
            .bytes(&self.root)
            .int(self.applied_at_ms);
    }
}

impl Sealable for Deposit {
    const TAG: &'static str = "deposit v1";

    fn fields(&self, fields: &mut Fields) {
        fields
            .bytes(self.id.as_bytes())
            .bytes(self.organization.as_bytes())
            .bytes(self.network.as_bytes())
            .bytes(self.asset.as_bytes())
            .bytes(self.wallet.as_bytes())
            .int(i64::from(self.address.kind().code()))
            .bytes(self.address.bytes())
            .bytes(self.from.as_ref().map_or(&[][..], |from| from.bytes()))
            .bytes(&self.movement.transaction.0)
            .text(&self.movement.part.to_string())
            .bytes(&self.face_units.to_be_bytes::<32>())
            .bytes(&self.units.to_be_bytes::<32>())
            .int(int(self.block.height.0))
            .bytes(&self.block.hash.0)
            .int(i64::from(self.inclusion))
            .text(self.state.name())
            .opt_text(self.reason.as_deref())
            .int(self.detected_at_ms)
            .int(self.changed_at_ms)
            .int(i64::from(self.version));
    }
}

/// What the audit record of a step says of its deposits: a digest over their seals, in their order.
pub(crate) fn digest_of(deposits: &[Sealed<Deposit>]) -> String {
    let mut digest = Sha256::new_with_prefix(b"coffer deposits v1");
    for sealed in deposits {
        digest.update(&sealed.seal);
    }
    hex::encode(digest.finalize())
}

impl Platform {
    /// How far a network was followed, as `tx` sees it; for the first time, nowhere.
    pub(crate) async fn progress_in(
        &self,
        tx: &mut Tx,
        network: NetworkId,
    ) -> Result<Progress, Error> {
        let stored = progress::by_network(tx, network).await?;
        self.open_progress(tx, network, stored).await
    }

    /// Like [`Self::progress_in`], and nobody else moves the network until this transaction ends. Whoever
    /// changes deposits takes this lock first, then the ledger's, then the audit's.
    pub(crate) async fn lock_progress(
        &self,
        tx: &mut Tx,
        network: NetworkId,
    ) -> Result<Progress, Error> {
        let stored = progress::lock(tx, network).await?;
        self.open_progress(tx, network, stored).await
    }

    async fn open_progress(
        &self,
        tx: &mut Tx,
        network: NetworkId,
        stored: Option<Sealed<Progress>>,
    ) -> Result<Progress, Error> {
        let name = || format!("the progress of {network}");
        let Some(sealed) = stored else {
            // Blocks without progress: its row was removed.
            if blocks::first_height(tx, network).await?.is_some() {
                return Err(refused(name()));
            }
            return Ok(Progress {
                network,
                tip: None,
                finalized: None,
                updated_at_ms: 0,
                version: 0,
            });
        };
        let progress = self.0.seals.open(sealed, |_| name())?;
        if progress.network == network {
            Ok(progress)
        } else {
            Err(refused(name()))
        }
    }

    /// Stores where a network stands now.
    pub(crate) async fn move_progress(
        &self,
        tx: &mut Tx,
        from: Progress,
        tip: Option<BlockRef>,
        finalized: Option<BlockHeight>,
    ) -> Result<(), Error> {
        let sealed = self.0.seals.seal(Progress {
            network: from.network,
            tip,
            finalized,
            updated_at_ms: self.now_ms(),
            version: from.version + 1,
        });
        if from.version == 0 {
            progress::insert(tx, &sealed).await?;
        } else {
            progress::update(tx, &sealed).await?;
        }
        Ok(())
    }

    /// The block that was taken at a height.
    pub(crate) async fn block_in(
        &self,
        tx: &mut Tx,
        network: NetworkId,
        height: BlockHeight,
    ) -> Result<Option<BlockRow>, Error> {
        let stored = blocks::at(tx, network, height).await?;
        stored
            .map(|sealed| self.open_block(network, sealed))
            .transpose()
    }

    pub(crate) fn open_block(
        &self,
        network: NetworkId,
        sealed: Sealed<BlockRow>,
    ) -> Result<BlockRow, Error> {
        let name = |row: &BlockRow| format!("block {} of {network}", row.block.height);
        let row = self.0.seals.open(sealed, name)?;
        if row.network == network {
            Ok(row)
        } else {
            Err(refused(name(&row)))
        }
    }

    /// Every network, in a snapshot of its own.
    pub(crate) async fn networks_now(&self) -> Result<Vec<Network>, Error> {
        let mut tx = self.0.db.read().await?;
        self.network_rows(&mut tx).await
    }

    /// One network of whichever organization, as `tx` sees it.
    pub(crate) async fn network_in(&self, tx: &mut Tx, id: NetworkId) -> Result<Network, Error> {
        let sealed = coffer_store::networks::by_id(tx, id).await?;
        let sealed = sealed.ok_or_else(|| Error::not_found("network", id))?;
        self.open_network(tx, sealed).await
    }
}
