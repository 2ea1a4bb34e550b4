//! Seals of unconfirmed deposits, and opening them.

use coffer_domain::id::DepositId;
use coffer_domain::unconfirmed::Unconfirmed;
use coffer_store::Sealed;
use coffer_store::unconfirmed::Found;
use sha2::{Digest, Sha256};

use crate::Platform;
use crate::seal::{Fields, Sealable, refused};

impl Sealable for Unconfirmed {
    const TAG: &'static str = "unconfirmed deposit v1";

    fn fields(&self, fields: &mut Fields) {
        let int = |value| i64::try_from(value).unwrap_or(i64::MAX);
        fields
            .bytes(self.id.as_bytes())
            .bytes(self.organization.as_bytes())
            .bytes(self.network.as_bytes())
            .bytes(self.asset.as_bytes())
            .bytes(self.wallet.as_bytes())
            .int(i64::from(self.address.kind().code()))
            .bytes(self.address.bytes())
            .bytes(&self.movement.transaction.0)
            .text(&self.movement.part.to_string())
            .bytes(&self.units.to_be_bytes::<32>())
            .int(int(self.inputs.len() as u64));
        for input in &self.inputs {
            fields
                .bytes(&input.transaction.0)
                .int(i64::from(input.number));
        }
        let block = self.standing.settled_in();
        let by = self.standing.replaced_by();
        fields
            .text(self.standing.state().name())
            .bytes(by.as_ref().map_or(&[][..], |by| &by.0))
            .opt_int(block.map(|block| int(block.height.0)))
            .bytes(block.as_ref().map_or(&[][..], |block| &block.hash.0))
            .int(self.detected_at_ms)
            .int(self.changed_at_ms)
            .int(i64::from(self.version));
    }
}

/// What an audit record says of them: a digest over their seals, in their order.
pub(super) fn digest_of(rows: &[Sealed<Unconfirmed>]) -> String {
    let mut digest = Sha256::new_with_prefix(b"coffer unconfirmed deposits v1");
    for sealed in rows {
        digest.update(&sealed.seal);
    }
    hex::encode(digest.finalize())
}

impl Platform {
    /// Each, or the id of one that is refused.
    pub(super) fn judge_unconfirmed(
        &self,
        found: Vec<Found>,
    ) -> Vec<Result<Unconfirmed, DepositId>> {
        let judge = |found: Found| {
            let sealed = found.map_err(|(id, _)| id)?;
            if self.0.seals.verifies(&sealed.value, &sealed.seal) {
                return Ok(sealed.value);
            }
            Err(sealed.value.id)
        };
        found.into_iter().map(judge).collect()
    }

    /// Those that verify. Of the others the alarm is raised; they are left as they are.
    pub(super) fn good_unconfirmed(&self, found: Vec<Found>) -> Vec<Unconfirmed> {
        let judged = self.judge_unconfirmed(found).into_iter();
        judged
            .filter_map(|judged| {
                let raised = judged.map_err(|id| refused(format!("{id}, unconfirmed")));
                raised.ok()
            })
            .collect()
    }
}
