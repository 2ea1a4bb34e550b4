//! An installation with something of everything, as it stands before the attack.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coffer_domain::address::{AddressKinds, BitcoinNetwork};
use coffer_domain::batch::OnError;
use coffer_domain::external_id::ExternalId;
use coffer_domain::id::{BatchId, VaultId};
use coffer_domain::vault::{Gate, GateMode, Tier};
use coffer_domain::wallet::{Decision, Wallet};
use coffer_platform::batches::parse::{Format, Limits};
use coffer_platform::batches::{Upload, UploadStream};
use coffer_platform::{
    Answer, Assigned, Caller, NewApiKey, NewVault, NewWallet, OwnedOnce, Platform, Scope,
    WorkerSettings,
};
use coffer_signing::DrillProof;
use coffer_testkit::{Engine, Installation};
use futures_util::stream;
use tokio_util::sync::CancellationToken;

use super::owner::{OLD, Owner, SAVED};

pub(crate) struct Scene {
    pub(crate) installation: Installation,
    pub(crate) owner: Owner,
    /// Decides on wallets that the admin's key created.
    pub(crate) decider: Caller,
    pub(crate) decider_token: String,
    pub(crate) reader_token: String,
    pub(crate) revoked_token: String,
    pub(crate) manual: VaultId,
    pub(crate) listed: VaultId,
    pub(crate) batches: Vec<BatchId>,
    /// Two active ones of a batch, two active and one rejected of the manual vault, one pending, one of the pool.
    pub(crate) wallets: Vec<Wallet>,
    /// A proof that answers a drill of the default vault which is over.
    pub(crate) proof: DrillProof,
}

pub(crate) const FINGERPRINT: [u8; 32] = [5; 32];
pub(crate) const ASSIGN_KEY: &str = "assign-once";
pub(crate) const POOLED: &str = "pool-0";

pub(crate) fn external(text: &str) -> ExternalId {
    ExternalId::try_new(text).expect("a valid id")
}

pub(crate) fn new_wallet(vault: VaultId, external_id: &str) -> NewWallet {
    NewWallet {
        vault,
        external_id: external(external_id),
        label: None,
        metadata: None,
        kinds: AddressKinds::ALL,
    }
}

pub(crate) fn render(assigned: &Assigned) -> (u16, String) {
    (201, format!("{:?}", assigned.wallet))
}

pub(crate) fn once() -> OwnedOnce<Assigned> {
    OwnedOnce {
        key: ASSIGN_KEY.to_owned(),
        fingerprint: FINGERPRINT,
        render: Arc::new(render),
    }
}

async fn key(platform: &Platform, admin: &Caller, name: &str, scope: Scope) -> (Caller, String) {
    let new = NewApiKey {
        name: name.to_owned(),
        scopes: vec![scope],
        expires_in_days: Some(30),
    };
    let issued = platform.create_api_key(admin, new).await.expect("a key");
    let token = issued.token.to_string();
    (
        platform
            .authenticate(&token)
            .await
            .expect("checked")
            .expect("counts"),
        token,
    )
}

async fn open_vault(installation: &Installation, account: u32, mode: GateMode) -> VaultId {
    let (platform, admin) = (&installation.platform, &installation.admin);
    let new = NewVault {
        name: format!("vault {account}"),
        tier: Tier::Warm,
        account,
        bitcoin_network: BitcoinNetwork::Mainnet,
    };
    let vault = platform.create_vault(admin, new).await.expect("made").id;
    let challenge = platform
        .start_drill(admin, vault, Some(1))
        .await
        .expect("a challenge");
    let proof = installation.answer_drill(&challenge);
    platform
        .finish_drill(admin, vault, challenge.drill_id, &proof)
        .await
        .expect("passes");
    platform
        .set_gate(
            admin,
            vault,
            Gate {
                mode,
                hook_url: None,
            },
        )
        .await
        .expect("set");
    vault
}

pub(crate) async fn upload(
    platform: &Platform,
    admin: &Caller,
    vault: VaultId,
    body: String,
) -> BatchId {
    let upload = Upload {
        vault,
        format: Format::Csv,
        gzip: false,
        kinds: AddressKinds::ALL,
        on_error: OnError::Skip,
        limits: Limits::default(),
    };
    let body: UploadStream = Box::pin(stream::iter([Ok(Bytes::from(body))]));
    match platform
        .create_batch(admin, upload, body, None)
        .await
        .expect("accepted")
    {
        Answer::Executed(batch) => batch.id,
        Answer::Replayed { .. } => panic!("nothing to replay"),
    }
}

/// Runs the workers until `done`, and the anchor with them.
pub(crate) async fn work(platform: &Platform, until: impl AsyncFn() -> bool) {
    let stop = CancellationToken::new();
    let workers = tokio::spawn({
        let (platform, stop) = (platform.clone(), stop.clone());
        async move {
            platform
                .run_workers(WorkerSettings { parallel_chunks: 1 }, stop)
                .await
        }
    });
    let done = tokio::time::timeout(Duration::from_secs(60), async {
        while !until().await {
            tokio::task::yield_now().await;
        }
    });
    done.await.expect("the work ends in time");
    stop.cancel();
    workers.await.expect("ends").expect("ends well");
}

/// Writes the anchor once, as the process does each second.
pub(crate) async fn anchor(platform: &Platform) {
    let stop = CancellationToken::new();
    stop.cancel();
    platform.run_anchor(stop).await;
}

fn csv(prefix: &str, rows: u32) -> String {
    let mut csv = "external_id,label,metadata\n".to_owned();
    for row in 1..=rows {
        csv.push_str(&format!(
            "{prefix}-{row},Label {row},\"{{\"\"n\"\":{row}}}\"\n"
        ));
    }
    csv.push_str(",a row without an id,\n");
    csv
}

async fn find(platform: &Platform, admin: &Caller, id: &str) -> Wallet {
    platform
        .wallet_by_external_id(admin, &external(id))
        .await
        .expect("reads")
        .expect("is there")
}

impl Scene {
    #[expect(
        clippy::too_many_lines,
        reason = "a table of cases, or one scene set up in order"
    )]
    pub(crate) async fn create(engine: Engine) -> Self {
        let installation = Installation::create(engine).await;
        let (platform, admin) = (installation.platform.clone(), installation.admin.clone());
        let (decider, decider_token) = key(&platform, &admin, "decider", Scope::Admin).await;
        let (_, reader_token) = key(&platform, &admin, "reader", Scope::WalletsRead).await;
        let (revoked, revoked_token) = key(&platform, &admin, "revoked", Scope::Admin).await;
        let manual = open_vault(&installation, 1, GateMode::Manual).await;
        let listed = open_vault(&installation, 2, GateMode::AllowList).await;
        for vault in [installation.vault, manual, listed] {
            platform.set_pool(&admin, vault, 2, 6).await.expect("set");
        }
        platform
            .allow(&admin, listed, &[external("kept"), external("removed")])
            .await
            .expect("added");
        let batches = vec![
            upload(&platform, &admin, installation.vault, csv("auto", 4)).await,
            upload(&platform, &admin, manual, csv("man", 4)).await,
        ];
        work(&platform, async || {
            let mut done = true;
            for id in &batches {
                done &= platform
                    .batch(&admin, *id)
                    .await
                    .expect("reads")
                    .state
                    .is_final();
            }
            for vault in [installation.vault, manual, listed] {
                done &= platform.pool(&admin, vault).await.expect("reads").level >= 2;
            }
            done
        })
        .await;
        let mut owner = Owner::connect(engine, &installation).await;
        let challenge = platform
            .start_drill(&admin, installation.vault, Some(1))
            .await
            .expect("a challenge");
        owner.copy_all(OLD).await;

        let proof = installation.answer_drill(&challenge);
        platform
            .finish_drill(&admin, installation.vault, challenge.drill_id, &proof)
            .await
            .expect("passes");
        for (id, decision) in [
            ("man-1", Decision::Activate),
            ("man-2", Decision::Reject),
            ("man-3", Decision::Activate),
        ] {
            let wallet = find(&platform, &admin, id).await;
            let answer = platform
                .decide_wallet(&decider, wallet.id, decision, Some("checked".into()), None)
                .await;
            assert!(matches!(answer, Ok(Answer::Executed(_))));
        }
        platform
            .revoke_api_key(&admin, revoked.key)
            .await
            .expect("revoked");
        platform
            .disallow(&admin, listed, &[external("removed")])
            .await
            .expect("removed");
        platform
            .set_gate(
                &admin,
                listed,
                Gate {
                    mode: GateMode::AllowList,
                    hook_url: None,
                },
            )
            .await
            .expect("set");
        let pooled = platform
            .assign_wallet(&admin, new_wallet(installation.vault, POOLED), Some(once()))
            .await;
        assert!(matches!(pooled, Ok(Answer::Executed(_))));
        anchor(&platform).await;
        owner.copy_all(SAVED).await;
        let mut wallets = Vec::new();
        for id in [
            "auto-1", "auto-2", "man-1", "man-2", "man-3", "man-4", POOLED,
        ] {
            wallets.push(find(&platform, &admin, id).await);
        }
        Self {
            installation,
            owner,
            decider,
            decider_token,
            reader_token,
            revoked_token,
            manual,
            listed,
            batches,
            wallets,
            proof,
        }
    }

    pub(crate) fn wallet(&self, external_id: &str) -> &Wallet {
        let found = self
            .wallets
            .iter()
            .find(|wallet| wallet.external_id.as_str() == external_id);
        found.expect("is of the scene")
    }
}
