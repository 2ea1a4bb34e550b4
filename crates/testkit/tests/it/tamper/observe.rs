//! Everything that can be read, as a map from what was asked to what was answered.

use std::collections::BTreeMap;

use coffer_domain::address::BitcoinNetwork;
use coffer_domain::wallet::{Decision, Wallet, WalletState};
use coffer_platform::batches::RowStatus;
use coffer_platform::{Answer, Caller, Error, Platform, WalletFilter};

use super::scene::{POOLED, Scene, new_wallet, once};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Value(String),
    /// Said to be changed outside Coffer.
    Refused,
    NotFound,
}

pub(crate) type Seeing = BTreeMap<String, Seen>;

/// An answer of a read; failures that are neither a refusal nor "not found" are failures of the test.
pub(crate) fn seen<T: std::fmt::Debug>(result: Result<T, Error>) -> Seen {
    match result {
        Ok(value) => Seen::Value(format!("{value:?}")),
        Err(Error::Integrity { .. } | Error::AuditBroken { .. }) => Seen::Refused,
        Err(Error::NotFound { .. }) => Seen::NotFound,
        Err(other) => panic!("neither an answer nor a refusal: {other}"),
    }
}

fn optional<T: std::fmt::Debug>(result: Result<Option<T>, Error>) -> Seen {
    match result {
        Ok(None) => Seen::NotFound,
        Ok(Some(value)) => seen(Ok(value)),
        Err(error) => seen(Err::<T, _>(error)),
    }
}

/// Reads on every path. Lists are one entry per item, under the item's own id.
pub(crate) async fn observe(scene: &Scene, platform: &Platform) -> Seeing {
    let caller = &scene.installation.admin;
    let mut seeing = Seeing::new();
    for wallet in &scene.wallets {
        one_wallet(platform, caller, wallet, &mut seeing).await;
    }
    pages(scene, platform, &mut seeing).await;
    results(scene, platform, &mut seeing).await;
    let vaults = [scene.installation.vault, scene.manual, scene.listed];
    for vault in vaults {
        seeing.insert(
            format!("vault/{vault}"),
            seen(platform.vault(caller, vault).await),
        );
    }
    seeing.insert("vaults".into(), seen(platform.vaults(caller).await));
    seeing.insert(
        "default vault".into(),
        seen(platform.default_vault(caller).await),
    );
    seeing.insert(
        "api keys".into(),
        seen(platform.list_api_keys(caller).await),
    );
    for (name, token) in [
        ("admin", &scene.installation.token),
        ("decider", &scene.decider_token),
        ("reader", &scene.reader_token),
        ("revoked", &scene.revoked_token),
    ] {
        seeing.insert(
            format!("token/{name}"),
            optional(platform.authenticate(token).await),
        );
    }
    let listed = platform
        .allow_list(caller, scene.listed, [0; 16], 100)
        .await;
    items(
        &mut seeing,
        "allow-list",
        listed.map(|page| {
            page.into_iter()
                .map(|(key, id)| (hex::encode(key), id))
                .collect()
        }),
    );
    let batches = platform.batches(caller, None, None, 100).await;
    let batches = batches.map(|page| {
        page.items
            .into_iter()
            .map(|batch| (batch.id.to_string(), batch))
            .collect()
    });
    items(&mut seeing, "batches", batches);
    seeing
}

fn items<T: std::fmt::Debug>(
    seeing: &mut Seeing,
    list: &str,
    found: Result<Vec<(String, T)>, Error>,
) {
    match found {
        Ok(found) => seeing.extend(
            found
                .into_iter()
                .map(|(id, item)| (format!("{list}/{id}"), seen(Ok(item)))),
        ),
        Err(error) => drop(seeing.insert(list.to_owned(), seen(Err::<(), _>(error)))),
    }
}

async fn one_wallet(platform: &Platform, caller: &Caller, wallet: &Wallet, seeing: &mut Seeing) {
    let name = wallet.external_id.as_str();
    seeing.insert(
        format!("id/{name}"),
        seen(platform.wallet(caller, wallet.id).await),
    );
    let by_external = platform
        .wallet_by_external_id(caller, &wallet.external_id)
        .await;
    seeing.insert(format!("external/{name}"), optional(by_external));
    for payload in &wallet.payloads {
        let text = coffer_chains::encode(payload, BitcoinNetwork::Mainnet);
        let address = coffer_chains::parse(&text).expect("our own address");
        seeing.insert(
            format!("address/{name}/{text}"),
            seen(platform.wallet_by_address(caller, &address).await),
        );
    }
}

async fn pages(scene: &Scene, platform: &Platform, seeing: &mut Seeing) {
    use WalletState::{Active, Pending, Rejected};
    for vault in [None, Some(scene.manual)] {
        for state in [None, Some(Pending), Some(Active), Some(Rejected)] {
            let filter = WalletFilter { vault, state };
            let page = platform
                .wallets(&scene.installation.admin, &filter, None, 100)
                .await
                .expect("a page");
            for wallet in page.items {
                seeing.insert(
                    format!("page/{filter:?}/{}", wallet.id),
                    Seen::Value(format!("{wallet:?}")),
                );
            }
            for refused in page.refused {
                seeing.insert(format!("page/{filter:?}/{}", refused.id), Seen::Refused);
            }
        }
    }
}

async fn results(scene: &Scene, platform: &Platform, seeing: &mut Seeing) {
    for id in &scene.batches {
        let caller = &scene.installation.admin;
        seeing.insert(
            format!("batch/{id}"),
            seen(platform.batch(caller, *id).await),
        );
        let reader = platform.batch_results(caller, *id).await;
        let Ok(mut reader) = reader else {
            seeing.insert(format!("results/{id}"), seen(reader.map(|_| ())));
            continue;
        };
        loop {
            match reader.next().await {
                Ok(None) => break,
                Ok(Some(rows)) => {
                    for row in rows {
                        let answer = match row.status {
                            RowStatus::Refused => Seen::Refused,
                            _ => Seen::Value(format!("{row:?}")),
                        };
                        seeing.insert(format!("results/{id}/{}", row.row), answer);
                    }
                }
                Err(error) => {
                    seeing.insert(format!("results/{id}"), seen(Err::<(), _>(error)));
                    break;
                }
            }
        }
    }
}

/// Calls that would act on a wallet whose row was touched: none may have an effect or show it.
pub(crate) async fn acts(scene: &Scene, platform: &Platform, wallet: &Wallet) -> Vec<String> {
    let mut wrong = Vec::new();
    for decision in [Decision::Activate, Decision::Reject] {
        let answer = platform
            .decide_wallet(&scene.decider, wallet.id, decision, Some("x".into()), None)
            .await;
        if !matches!(
            answer,
            Err(Error::Integrity { .. } | Error::NotFound { .. })
        ) {
            wrong.push(format!("{decision:?} of {}: {answer:?}", wallet.id));
        }
    }
    let wanted = new_wallet(wallet.vault, wallet.external_id.as_str());
    match platform
        .assign_wallet(&scene.installation.admin, wanted, None)
        .await
    {
        Err(Error::Integrity { .. }) => {}
        // The row is gone from the id's index: the customer gets a wallet that nobody has.
        Ok(Answer::Executed(assigned)) if !assigned.existing => {
            let taken = scene
                .wallets
                .iter()
                .any(|w| w.id == assigned.wallet.id || w.payloads == assigned.wallet.payloads);
            if taken {
                wrong.push(format!("assigned {assigned:?}"));
            }
        }
        other => wrong.push(format!("assigned {other:?}")),
    }
    if wallet.vault == scene.installation.vault && wallet.index == 0 {
        let drill = platform
            .start_drill(&scene.installation.admin, wallet.vault, Some(1))
            .await
            .expect("a challenge");
        let judged = platform
            .finish_drill(
                &scene.installation.admin,
                wallet.vault,
                drill.drill_id,
                &scene.proof,
            )
            .await;
        // Before the proof is looked at; a wallet that is not found is not compared.
        if !matches!(
            judged,
            Err(Error::Integrity { .. } | Error::StateConflict(_))
        ) {
            wrong.push(format!("a drill was judged {judged:?}"));
        }
    }
    wrong
}

/// The kept answer of an earlier call.
pub(crate) async fn replay(scene: &Scene, platform: &Platform) -> Seen {
    let wanted = new_wallet(scene.installation.vault, POOLED);
    match platform
        .assign_wallet(&scene.installation.admin, wanted, Some(once()))
        .await
    {
        Ok(Answer::Replayed { status, body }) => Seen::Value(format!("{status} {body}")),
        Ok(Answer::Executed(assigned)) => Seen::Value(format!("201 {:?}", assigned.wallet)),
        Err(Error::IdempotencyConflict { .. }) => Seen::Refused,
        Err(error) => seen(Err::<(), _>(error)),
    }
}

/// What was seen and is not what was true: paths with the value.
pub(crate) fn lies(truth: &Seeing, seeing: &Seeing) -> Vec<String> {
    let wrong = seeing.iter().filter(|(path, answer)| {
        matches!(answer, Seen::Value(_)) && truth.get(*path) != Some(*answer)
    });
    wrong
        .map(|(path, answer)| format!("{path}: {answer:?} for {:?}", truth.get(path)))
        .collect()
}
