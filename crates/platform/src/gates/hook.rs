//! Asking the customer's KYC service, by the Standard Webhooks signature scheme.
//!
//! The answer is `200` with `{"decision": "approve" | "reject" | "review", "reason": "…"}`. Anything else is
//! tried again with back-off; after the last attempt, or on `review`, the wallet stays pending for a person.

use bytes::Bytes;
use coffer_domain::id::WalletId;
use coffer_domain::vault::{Gate, GateMode, Vault};
use coffer_domain::wallet::{Decision, Wallet, WalletState};
use coffer_store::hook_jobs::{self as rows, HookJob};
use coffer_store::wallets;
use serde::{Deserialize, Serialize};

use crate::outbound::Answer;
use crate::outbound::signature::{SigningKey, sign};
use crate::transaction::transact;
use crate::{Error, Platform};

const AT_ONCE: u32 = 8;
/// A job in hand is due again after this time, should this process die.
const LEASE_MS: i64 = 60_000;
const MAX_ATTEMPTS: u32 = 12;
const FIRST_PAUSE_MS: i64 = 2_000;
const LONGEST_PAUSE_MS: i64 = 60 * 60 * 1000;
const MAX_ANSWER_BYTES: usize = 64 * 1024;

#[derive(Serialize)]
struct Question<'a> {
    r#type: &'static str,
    wallet_id: String,
    vault_id: String,
    external_id: &'a str,
    label: Option<&'a str>,
    metadata: Option<&'a serde_json::value::RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Approve,
    Reject,
    Review,
}

#[derive(Deserialize)]
struct Reply {
    decision: Verdict,
    reason: Option<String>,
}

impl Platform {
    /// Asks about wallets that are due; answers how many were asked about.
    pub(crate) async fn ask_hooks(&self) -> Result<usize, Error> {
        let now = self.now_ms();
        let jobs = transact!(self, tx, {
            Ok(rows::claim(tx, now, now + LEASE_MS, AT_ONCE).await?)
        })?;
        let count = jobs.len();
        let asked = jobs.into_iter().map(|job| self.ask_about(job));
        for result in futures_util::future::join_all(asked).await {
            result?;
        }
        Ok(count)
    }

    async fn ask_about(&self, job: HookJob) -> Result<(), Error> {
        let Some((vault, wallet)) = self.hook_subject(&job).await? else {
            return transact!(self, tx, { Ok(rows::remove(tx, job.wallet).await?) });
        };
        match self.call(&vault, &wallet).await {
            Ok(reply) => self.conclude_hook(&job, &vault.gate, reply).await,
            Err(error) => self.put_off(&job, &error).await,
        }
    }

    /// The wallet, if it still waits for this hook.
    async fn hook_subject(&self, job: &HookJob) -> Result<Option<(Vault, Wallet)>, Error> {
        let Some(row) = self.read_vault(job.vault).await? else {
            return Ok(None);
        };
        let vault = row.vault;
        let mut tx = self.0.db.read().await?;
        self.follow(&mut tx, vault.organization).await?;
        let Some(found) = wallets::by_id(&mut tx, job.wallet).await? else {
            return Ok(None);
        };
        let wallet = self.open_wallet(&mut tx, found).await?;
        // The job's row is not sealed: one that names another vault would let that vault's hook decide.
        let waits = wallet.vault == vault.id
            && wallet.state == WalletState::Pending
            && vault.gate.mode == GateMode::Hook;
        Ok(waits.then_some((vault, wallet)))
    }

    async fn call(&self, vault: &Vault, wallet: &Wallet) -> Result<Reply, String> {
        let url = vault
            .gate
            .hook_url
            .as_deref()
            .ok_or("the gate has no URL")?;
        let metadata = wallet
            .metadata
            .as_deref()
            .map(serde_json::from_str)
            .transpose()
            .map_err(|error| error.to_string())?;
        let question = Question {
            r#type: "wallet.pending",
            wallet_id: wallet.id.to_string(),
            vault_id: vault.id.to_string(),
            external_id: wallet.external_id.as_str(),
            label: wallet.label.as_deref(),
            metadata,
        };
        let body = serde_json::to_string(&question).map_err(|error| error.to_string())?;
        let secret = self.0.seals.hook_secret(vault.id, url);
        let key = SigningKey::new(secret.as_ref());
        let headers = sign(
            &[key],
            &message_id(wallet.id),
            self.now_ms(),
            body.as_bytes(),
        );
        let client = &self.0.hook_client;
        let target = client.target(url).map_err(|error| error.to_string())?;
        let body = ("application/json", Bytes::from(body));
        let answer = client
            .post(&target, headers, body, MAX_ANSWER_BYTES)
            .await
            .map_err(|error| error.to_string())?;
        read_reply(&answer)
    }

    async fn conclude_hook(&self, job: &HookJob, gate: &Gate, reply: Reply) -> Result<(), Error> {
        let decision = match reply.decision {
            Verdict::Approve => Decision::Activate,
            Verdict::Reject => Decision::Reject,
            Verdict::Review => {
                let now = self.now_ms();
                return transact!(self, tx, {
                    Ok(
                        rows::put_off(tx, job, now, Some(now), "the service asks for review")
                            .await?,
                    )
                });
            }
        };
        let reason = reply
            .reason
            .map(|reason| reason.chars().take(500).collect());
        transact!(self, tx, {
            let found = wallets::lock(tx, job.wallet)
                .await?
                .ok_or_else(|| Error::not_found("wallet", job.wallet))?;
            let organization = found.as_ref().ok().map(|sealed| sealed.value.organization);
            if let Some(organization) = organization {
                self.follow(tx, organization).await?;
            }
            let wallet = self.open_wallet(tx, found).await?;
            // The gate may have become another one while the service thought.
            let vault = self
                .vault_row(tx, wallet.organization, wallet.vault)
                .await?;
            let asked = vault.vault.gate == *gate;
            if wallet.state == WalletState::Pending && asked {
                self.apply_decision(tx, wallet, decision, reason.clone(), "gate:hook")
                    .await?;
            }
            Ok(())
        })
    }

    async fn put_off(&self, job: &HookJob, error: &str) -> Result<(), Error> {
        let now = self.now_ms();
        let parked = (job.attempts >= MAX_ATTEMPTS).then_some(now);
        let doubled = FIRST_PAUSE_MS.saturating_mul(1 << job.attempts.min(20));
        tracing::warn!(wallet = %job.wallet, attempts = job.attempts, error, parked = parked.is_some(), "the KYC hook did not answer");
        metrics::counter!("coffer_hook_failures_total").increment(1);
        let again = now + doubled.min(LONGEST_PAUSE_MS);
        transact!(self, tx, {
            Ok(rows::put_off(tx, job, again, parked, error).await?)
        })
    }
}

/// Stable over retries, so that the service can tell a repeat.
fn message_id(wallet: WalletId) -> String {
    format!("msg_{wallet}")
}

fn read_reply(answer: &Answer) -> Result<Reply, String> {
    if answer.status != 200 {
        return Err(format!("the answer's status is {}", answer.status));
    }
    if answer.cut {
        return Err("the answer is too long".to_owned());
    }
    serde_json::from_slice(&answer.body).map_err(|_| {
        "the answer is not {\"decision\": \"approve\" | \"reject\" | \"review\"}".to_owned()
    })
}
