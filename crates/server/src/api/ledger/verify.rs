use axum::Json;
use axum::extract::State;
use coffer_platform::Scope;
use coffer_platform::ledger::AssetSums;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::balances::{LedgerSums, sums};
use crate::access::{Api, Caller, Routes};
use crate::problem::Problem;

#[derive(Serialize, ToSchema)]
pub(crate) struct LedgerReportView {
    /// Whether everything verifies.
    ok: bool,
    /// What is wrong first, in words; null when the ledger is sound.
    broken: Option<String>,
    /// Transactions verified, and their entries.
    transactions: u64,
    entries: u64,
    accounts: u64,
    /// Ends of the ledger that the audit log names, all of them compared.
    audit_marks: u64,
    /// The last verified transaction's place and hash.
    seq: u64,
    hash: String,
    assets: Vec<VerifiedAsset>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct VerifiedAsset {
    asset_id: String,
    balanced: bool,
    #[serde(flatten)]
    sums: LedgerSums,
}

/// Prove the ledger from its first transaction on
///
/// Recomputes the hash chain and every balance, compares heads with last entries and the audit log's marks with the
/// chain, checks all seals, and that debits equal credits per asset. Reads the whole ledger.
#[utoipa::path(get, path = "/v1/ledger/verify", tag = "ledger",
    responses((status = 200, body = LedgerReportView)))]
pub(crate) async fn verify_ledger(
    State(api): State<Api>,
    caller: Caller,
) -> Result<Json<LedgerReportView>, Problem> {
    let report = api.platform().verify_ledger(&caller).await?;
    let asset = |of: &AssetSums| VerifiedAsset {
        asset_id: of.asset.to_string(),
        balanced: of.totals.is_balanced(),
        sums: sums(&of.totals),
    };
    Ok(Json(LedgerReportView {
        ok: report.broken.is_none(),
        broken: report.broken,
        transactions: report.transactions,
        entries: report.entries,
        accounts: report.accounts,
        audit_marks: report.marks,
        seq: report.end.seq,
        hash: hex::encode(report.end.hash),
        assets: report.assets.iter().map(asset).collect(),
    }))
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::LedgerRead, routes!(verify_ledger))
}
