use axum::Json;
use axum::extract::State;
use coffer_domain::id::WalletId;
use coffer_domain::wallet::WalletState;
use coffer_platform::Scope;
use coffer_platform::audit::{WalletProof, payloads_digest};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::access::{Api, Caller, Routes};
use crate::api::audit::AuditRecordView;
use crate::http::PathId;
use crate::problem::{Code, Problem};

#[derive(Serialize, ToSchema)]
#[schema(as = WalletProof)]
pub(crate) struct ProofView {
    /// What of the wallet never changes; its leaf is computed from it.
    birth: BirthView,
    /// Empty unless the wallet is active.
    addresses: Vec<ProvenAddress>,
    leaf_hash: String,
    /// From 0, among the wallets that the record created, in the order of their indexes.
    leaf_index: usize,
    tree_size: usize,
    /// Hashes beside the way from the leaf to the root, from below (RFC 9162, section 2.1.3.2).
    path: Vec<String>,
    /// Its payload names the root as `changes.created.births_root`.
    record: AuditRecordView,
}

#[derive(Serialize, ToSchema)]
#[schema(as = WalletBirth)]
pub(crate) struct BirthView {
    wallet_id: String,
    organization_id: String,
    vault_id: String,
    index: u32,
    external_id: String,
    label: Option<String>,
    /// JSON text, exactly as hashed.
    metadata: Option<String>,
    /// A bit for each kind of address: 1 EVM, 2 TRON, 4 Bitcoin P2WPKH, 8 Bitcoin P2TR, 16 Solana.
    kinds: u8,
    /// SHA-256 over the addresses' payloads in the order of the kinds.
    payloads_sha256: String,
    batch_id: Option<String>,
    created_by: String,
    /// Unix milliseconds.
    created_at: i64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ProvenAddress {
    #[schema(example = "evm")]
    chain: &'static str,
    address: String,
    /// What the address encodes, in hexadecimal.
    payload: String,
}

/// Prove that an audit record created a wallet
///
/// With it, whoever holds a later anchor, and the records up to it, can tell without this server that the wallet
/// was created by that record with these addresses; `coffer audit prove` puts both into one file and
/// `coffer audit check-proof` checks it. It says nothing of what was decided on the wallet since. `leaf_hash` is SHA-256
/// over a zero byte and the birth, see `docs/adr/0013-merkle-roots-of-births.md`. Costs a look at all wallets of
/// the record, up to some thousands. Needs the scope `wallets:read` as well.
#[utoipa::path(get, path = "/v1/wallets/{id}/proof", tag = "audit", params(("id" = String, Path)),
    responses((status = 200, body = ProofView)))]
pub(crate) async fn prove_wallet(
    State(api): State<Api>,
    caller: Caller,
    PathId(id): PathId<WalletId>,
) -> Result<Json<ProofView>, Problem> {
    let proof = api.platform().wallet_proof(&caller, id).await?;
    // The audit log names the wallet to whoever may read it; whose it is, and its addresses, it does not tell.
    if !caller.may(Scope::WalletsRead) {
        let scope = Scope::WalletsRead.name();
        let text = format_args!("this call needs the scope {scope} as well");
        return Err(Problem::new(Code::Forbidden, text).with("scope", scope));
    }
    let vault = api.platform().vault(&caller, proof.wallet.vault).await?;
    let shown = proof.wallet.state == WalletState::Active;
    let payloads = proof.wallet.payloads.iter().filter(|_| shown);
    let addresses = payloads.map(|payload| ProvenAddress {
        chain: payload.kind().name(),
        address: coffer_chains::encode(payload, vault.bitcoin_network),
        payload: hex::encode(payload.bytes()),
    });
    Ok(Json(ProofView {
        addresses: addresses.collect(),
        ..ProofView::from(proof)
    }))
}

impl From<WalletProof> for ProofView {
    fn from(proof: WalletProof) -> Self {
        let wallet = &proof.wallet;
        Self {
            birth: BirthView {
                wallet_id: wallet.id.to_string(),
                organization_id: wallet.organization.to_string(),
                vault_id: wallet.vault.to_string(),
                index: wallet.index,
                external_id: wallet.external_id.as_str().to_owned(),
                label: wallet.label.clone(),
                metadata: wallet.metadata.clone(),
                kinds: wallet.kinds().bits(),
                payloads_sha256: hex::encode(payloads_digest(wallet)),
                batch_id: wallet.batch.map(|batch| batch.to_string()),
                created_by: wallet.created_by.to_string(),
                created_at: wallet.created_at_ms,
            },
            addresses: Vec::new(),
            leaf_hash: hex::encode(proof.leaf_hash),
            leaf_index: proof.leaf_index,
            tree_size: proof.tree_size,
            path: proof.path.iter().map(hex::encode).collect(),
            record: proof.record.into(),
        }
    }
}

pub(super) fn route(routes: Routes) -> Routes {
    routes.guarded(Scope::AuditRead, routes!(prove_wallet))
}
