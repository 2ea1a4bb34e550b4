//! What an operator should know about this installation's safety.

use coffer_domain::vault::VaultState;
use coffer_store::organizations;

use crate::{Caller, Error, Platform, blocking};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Ok,
    Warn,
    /// Not to be used like this.
    Unsafe,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub level: Level,
    pub check: &'static str,
    pub detail: String,
    /// What to do, when there is something to do.
    pub advice: String,
}

impl Finding {
    fn new(
        level: Level,
        check: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            level,
            check,
            detail: detail.into(),
            advice: advice.into(),
        }
    }
}

impl Platform {
    pub async fn doctor(&self, caller: &Caller) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        findings.push(self.audit_finding(caller));
        findings.push(self.signer_finding().await);
        let weak = self.0.db.weak_settings().await?;
        for setting in &weak {
            findings.push(Finding::new(
                Level::Unsafe,
                "database",
                setting.clone(),
                "change the setting and restart the database",
            ));
        }
        if weak.is_empty() {
            findings.push(Finding::new(
                Level::Ok,
                "database",
                format!("{:?} with safe settings", self.0.db.engine()),
                "",
            ));
        }
        findings.push(self.ledger_finding().await?);
        if self.guard(caller.organization).is_ok() {
            self.vault_findings(caller, &mut findings).await?;
        }
        Ok(findings)
    }

    fn audit_finding(&self, caller: &Caller) -> Finding {
        match self.guard(caller.organization) {
            Ok(()) => {
                let head = self.0.chains.head(caller.organization);
                Finding::new(
                    Level::Ok,
                    "audit",
                    format!("the chain verifies up to record {}", head.seq),
                    "",
                )
            }
            Err(error) => Finding::new(
                Level::Unsafe,
                "audit",
                error.to_string(),
                "keep the database as it is and compare it with a backup",
            ),
        }
    }

    /// Whether the database itself still refuses to change what was posted.
    async fn ledger_finding(&self) -> Result<Finding, Error> {
        let unguarded = self.0.db.unguarded_tables().await?;
        if unguarded.is_empty() {
            let detail = "the database refuses to change what was posted";
            return Ok(Finding::new(Level::Ok, "ledger", detail, ""));
        }
        let tables = unguarded.join(" and ");
        tracing::error!(tables, alarm = "ledger", "append-only triggers are missing");
        Ok(Finding::new(
            Level::Unsafe,
            "ledger",
            format!("the triggers that keep {tables} append-only are gone or changed"),
            "find out who could change the schema, and run `coffer ledger verify`",
        ))
    }

    async fn signer_finding(&self) -> Finding {
        let signer = self.0.signer.clone();
        match blocking(move || signer.identity()).await {
            Ok(Ok(identity)) => Finding::new(
                Level::Ok,
                "signer",
                format!("answers, version {}", identity.version),
                "",
            ),
            Ok(Err(error)) => Finding::new(
                Level::Unsafe,
                "signer",
                error.to_string(),
                "look at the signer's log",
            ),
            Err(error) => Finding::new(
                Level::Unsafe,
                "signer",
                error.to_string(),
                "look at the server's log",
            ),
        }
    }

    async fn vault_findings(
        &self,
        caller: &Caller,
        findings: &mut Vec<Finding>,
    ) -> Result<(), Error> {
        const QUARTER_MS: i64 = 90 * 24 * 60 * 60 * 1000;
        for vault in self.vaults(caller).await? {
            let again = format!("run `coffer vault drill {}`", vault.id);
            findings.push(match (vault.state, vault.drilled_at_ms) {
                (VaultState::AwaitingDrill, _) | (_, None) => Finding::new(
                    Level::Warn,
                    "drill",
                    format!("{} has never passed a restore drill", vault.id),
                    again,
                ),
                (_, Some(at)) if self.now_ms() - at > QUARTER_MS => Finding::new(
                    Level::Warn,
                    "drill",
                    format!("the last restore drill of {} is over 90 days old", vault.id),
                    again,
                ),
                _ => Finding::new(
                    Level::Ok,
                    "drill",
                    format!("{} has passed a restore drill", vault.id),
                    "",
                ),
            });
        }
        Ok(())
    }

    /// Whether requests can be served: the store answers, the signer answers, the audit chains hold.
    pub async fn readiness(&self) -> Vec<(&'static str, Result<(), String>)> {
        let store = async {
            self.0.db.read().await?;
            Ok::<_, Error>(())
        }
        .await;
        let signer = self.0.signer.clone();
        let signer = blocking(move || signer.identity())
            .await
            .and_then(|identity| Ok(identity.map(|_| ())?));
        let audit = self.audit_readiness().await;
        let text = |result: Result<(), Error>| result.map_err(|error| error.to_string());
        vec![
            ("store", text(store)),
            ("signer", text(signer)),
            ("audit", text(audit)),
        ]
    }

    async fn audit_readiness(&self) -> Result<(), Error> {
        let mut tx = self.0.db.read().await?;
        organizations::all(&mut tx)
            .await?
            .iter()
            .try_for_each(|organization| self.guard(organization.id))
    }
}
