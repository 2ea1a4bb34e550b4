//! What a change tells: collected by the use case, numbered and sealed when its audit record is appended.

use coffer_domain::event::{EventForm, EventType};
use coffer_domain::id::{BatchId, OrganizationId, VaultId};
use coffer_domain::wallet::{Wallet, WalletState};
use coffer_store::Sealed;
use coffer_store::events::EventRow;
use serde::{Deserialize, Serialize};

use crate::seal::{Fields, SealKeys, Sealable};

/// The events of one change, in their order. Empty where a change concerns no other system.
#[derive(Default)]
pub(crate) struct Outgoing(Vec<Draft>);

struct Draft {
    form: EventForm,
    kind: EventType,
    subject: String,
    count: u64,
    data: String,
}

/// Wallets made together: runs of indexes, each with the state that its wallets were born in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WalletRuns {
    pub(super) vault: String,
    pub(super) runs: Vec<(u32, u32, String)>,
}

/// Ledger transactions posted together: `count` of them from this place on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LedgerRun {
    pub(super) first: u64,
}

/// Everything stored here is numbers and texts.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("events are structs of texts and numbers")
}

impl Outgoing {
    pub(crate) fn none() -> Self {
        Self::default()
    }

    pub(crate) fn one(kind: EventType, subject: impl ToString, data: &impl Serialize) -> Self {
        Self::none().and(kind, subject, data)
    }

    pub(crate) fn and(
        mut self,
        kind: EventType,
        subject: impl ToString,
        data: &impl Serialize,
    ) -> Self {
        self.0.push(Draft {
            form: EventForm::One,
            kind,
            subject: subject.to_string(),
            count: 1,
            data: json(data),
        });
        self
    }

    /// These, and then the others.
    pub(crate) fn then(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// One event per wallet, in the state that it was born in; of one vault, their indexes in rising order.
    pub(crate) fn wallets_created(
        mut self,
        vault: VaultId,
        batch: Option<BatchId>,
        born: &[Sealed<Wallet>],
    ) -> Self {
        let mut runs: Vec<(u32, u32, WalletState)> = Vec::new();
        for wallet in born.iter().map(|sealed| &sealed.value) {
            let (index, state) = (wallet.index, wallet.state);
            match runs.last_mut() {
                Some((first, length, same)) if *first + *length == index && *same == state => {
                    *length += 1;
                }
                _ => runs.push((index, 1, state)),
            }
        }
        if !born.is_empty() {
            let runs = runs
                .into_iter()
                .map(|(first, length, state)| (first, length, state.name().to_owned()));
            let data = WalletRuns {
                vault: vault.to_string(),
                runs: runs.collect(),
            };
            self.0.push(Draft {
                form: EventForm::Wallets,
                kind: EventType::WalletCreated,
                subject: batch.map_or_else(|| vault.to_string(), |batch| batch.to_string()),
                count: born.len() as u64,
                data: json(&data),
            });
        }
        self
    }

    /// One event for each of the `count` transactions that end at `last` in the ledger's chain.
    pub(crate) fn ledger_posted(
        mut self,
        organization: OrganizationId,
        last: u64,
        count: usize,
    ) -> Self {
        let count = count as u64;
        if count > 0 {
            self.0.push(Draft {
                form: EventForm::Ledger,
                kind: EventType::LedgerPosted,
                subject: organization.to_string(),
                count,
                data: json(&LedgerRun {
                    first: (last + 1).saturating_sub(count),
                }),
            });
        }
        self
    }

    /// Rows with the numbers that follow `before`, and the last one's number.
    pub(crate) fn into_rows(
        self,
        seals: &SealKeys,
        (organization, at_ms): (OrganizationId, i64),
        before: u64,
    ) -> (Vec<Sealed<EventRow>>, u64) {
        let mut last = before;
        let rows = self.0.into_iter().map(|draft| {
            last += draft.count;
            metrics::counter!("coffer_events_total", "object" => draft.kind.object())
                .increment(draft.count);
            seals.seal(EventRow {
                organization,
                last,
                count: draft.count,
                form: draft.form,
                kind: draft.kind,
                subject: draft.subject,
                at_ms,
                data: draft.data,
            })
        });
        let rows = rows.collect();
        (rows, last)
    }
}

impl Sealable for EventRow {
    const TAG: &'static str = "event v1";

    fn fields(&self, fields: &mut Fields) {
        let int = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        fields
            .bytes(self.organization.as_bytes())
            .int(int(self.last))
            .int(int(self.count))
            .text(self.form.name())
            .text(self.kind.name())
            .text(&self.subject)
            .int(self.at_ms)
            .text(&self.data);
    }
}
