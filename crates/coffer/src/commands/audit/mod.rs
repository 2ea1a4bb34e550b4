//! The audit chain as its reader sees it: verified whole, or asked for the proof of one wallet ([`prove`]).
//!
//! `audit verify`: the whole chain recomputed here, from records that the server only hands over.
//!
//! Finds the first record that was edited, removed, put in or moved. The server could leave the end away,
//! or hand over a chain that was written anew from the start; only an anchor kept apart from the
//! database shows that. Memory is that of one page and the anchors, however long the chain.

mod anchor;
mod chain;
mod proof;
mod prove;

use serde::Deserialize;
use serde_json::json;

use self::anchor::Anchors;
use self::chain::{Break, Chain, Reason, Record, parse_hash, parse_organization};
pub(crate) use self::prove::check as check_proof;
use super::Session;
use crate::args::{AuditCommand, VerifyArgs};
use crate::client::Resource;
use crate::error::Failure;
use crate::meter::Meter;
use crate::output::thousands;

const PAGE_RECORDS: &str = "1000";

#[derive(Deserialize)]
struct Head {
    organization_id: String,
    seq: u64,
    hash: String,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Record>,
}

pub(crate) async fn run(session: &Session, command: AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::Verify(args) => verify(session, &args).await,
        AuditCommand::Prove { id } => prove::run(session, &id).await,
        AuditCommand::CheckProof(args) => check_proof(&args, session.out),
    }
}

async fn verify(session: &Session, args: &VerifyArgs) -> Result<(), Failure> {
    let organization_id = head(session).await?.organization_id;
    let organization = parse_organization(&organization_id).ok_or_else(|| {
        Failure::unexpected(
            format!("the server's organization_id {organization_id:?} is not an id"),
            "is --server the address of a Coffer server of this version?",
        )
    })?;
    let mut anchors = match &args.anchor {
        Some(file) => Anchors::open(file, &organization_id)?,
        None => Anchors::none(),
    };
    // Asked after the anchors were read: one that was written meanwhile is then not ahead of it.
    let head = head(session).await?;
    let mut chain = Chain::new(organization);
    let mut meter = Meter::new(session.out, head.seq, "records");
    let walked = walk(session, &head, &mut chain, &mut anchors, &mut meter).await;
    meter.finish();
    walked?;
    let answer = json!({
        "ok": true,
        "organization_id": organization_id,
        "records": chain.seq,
        "head": {"seq": chain.seq, "hash": hex::encode(chain.hash)},
        "anchors": anchors.len(),
    });
    session.out.answer(&answer, || {
        let records = thousands(chain.seq);
        let hash = hex::encode(chain.hash);
        match anchors.len() {
            0 => format!("The chain of {records} records is sound up to its head {hash}."),
            count => format!(
                "The chain of {records} records is sound up to its head {hash}, and holds all {} anchored records.",
                thousands(count as u64)
            ),
        }
    })?;
    if args.anchor.is_none() {
        session
            .out
            .note("Without --anchor FILE a cut tail, or a chain written anew, cannot be seen.");
    }
    Ok(())
}

async fn head(session: &Session) -> Result<Head, Failure> {
    session
        .client
        .get_as(Resource::at(&["audit", "head"]))
        .await
}

async fn walk(
    session: &Session,
    head: &Head,
    chain: &mut Chain,
    anchors: &mut Anchors,
    meter: &mut Meter,
) -> Result<(), Failure> {
    anchors.check(chain).map_err(broken)?;
    while chain.seq < head.seq {
        let page = page_after(session, chain.seq).await?;
        if page.data.is_empty() {
            return Err(broken(Break {
                seq: chain.seq + 1,
                reason: Reason::CutTail,
            }));
        }
        // Records that were added since the head was asked for are left for the next time.
        let wanted = usize::try_from(head.seq - chain.seq).unwrap_or(usize::MAX);
        for record in page.data.iter().take(wanted) {
            chain
                .take(record)
                .and_then(|()| anchors.check(chain))
                .map_err(broken)?;
        }
        meter.set(chain.seq, "verifying", "");
    }
    if parse_hash(&head.hash) != Some(chain.hash) {
        return Err(broken(Break {
            seq: head.seq,
            reason: Reason::OtherHead,
        }));
    }
    anchors.finish(chain).map_err(broken)
}

async fn page_after(session: &Session, seq: u64) -> Result<Page, Failure> {
    let after = seq.to_string();
    let query = [("after", after.as_str()), ("limit", PAGE_RECORDS)];
    let page = session
        .client
        .get_as(Resource::with(&["audit"], &query))
        .await;
    page.map_err(|failure| {
        if failure.code() != "unreadable_answer" {
            return failure;
        }
        Failure::integrity(
            format!("a record after {seq} cannot be read: {failure}"),
            "compare the server's version with `coffer --version`; if they agree, treat the chain as broken",
        )
        .with("seq", seq + 1)
        .with("reason", "unreadable")
    })
}

fn broken(at: Break) -> Failure {
    Failure::integrity(
        at.to_string(),
        "keep the database and its backups as they are, find out who could write to it, and compare with a backup from before",
    )
    .with("ok", false)
    .with("seq", at.seq)
    .with("reason", at.reason.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_chain_names_its_first_bad_record() {
        let failure = broken(Break {
            seq: 42,
            reason: Reason::Edited,
        });
        assert_eq!(failure.exit_code(), 5);
        assert_eq!(failure.member("seq"), Some(&json!(42)));
        assert_eq!(failure.member("reason"), Some(&json!("edited")));
        assert!(failure.to_string().contains("record 42"));
    }
}
