//! `audit prove`: a wallet's proof with the records behind it, as one file; `audit check-proof`: whether it holds.

use std::fs::File;
use std::io::BufReader;

use serde_json::json;

use super::proof::{FORMAT, Fault, Proof, ProofFile};
use super::{Session, anchor::Anchors, head, page_after};
use crate::args::CheckProofArgs;
use crate::client::Resource;
use crate::error::Failure;
use crate::meter::Meter;
use crate::output::{Output, Table, printable, thousands};

/// What a proof does not say, whoever checks it.
const NOT_PROVEN: &str = "\
Not proven: what was decided on the wallet since (activation, rejection), that its keys are in your hands (a restore
drill shows that), and that the anchor is the one you kept.";

pub(super) async fn run(session: &Session, id: &str) -> Result<(), Failure> {
    let resource = ["wallets", id, "proof"];
    let proof: Proof = session.client.get_as(Resource::at(&resource)).await?;
    // An anchor may name any record up to now, so all up to now go in.
    let head = head(session).await?;
    let mut later_records = Vec::new();
    let mut seq = proof.record.seq;
    let mut meter = Meter::new(session.out, head.seq, "records");
    while seq < head.seq {
        let page = page_after(session, seq).await?;
        let Some(last) = page.data.last() else { break };
        seq = last.seq;
        later_records.extend(page.data);
        meter.set(seq, "reading", "");
    }
    meter.finish();
    let file = ProofFile {
        format: FORMAT.to_owned(),
        proof,
        later_records,
    };
    file.holds_together().map_err(failed)?;
    let text = serde_json::to_string(&file).map_err(|error| {
        Failure::unexpected(
            format!("the proof cannot be written: {error}"),
            "report this",
        )
    })?;
    session.out.line(&text)?;
    session.out.note(&format!(
        "Record {} and {} behind it; `coffer audit check-proof FILE --anchor FILE` checks this against anchors of {0} to {seq}.",
        file.proof.record.seq,
        thousands(file.later_records.len() as u64),
    ));
    Ok(())
}

pub(crate) fn check(args: &CheckProofArgs, out: Output) -> Result<(), Failure> {
    let opened = File::open(&args.proof);
    let opened = opened.map_err(|error| Failure::file("read", &args.proof, &error))?;
    let file: ProofFile = serde_json::from_reader(BufReader::new(opened)).map_err(|error| {
        Failure::usage(
            format!("{} is not a proof: {error}", args.proof.display()),
            "give the file that `coffer audit prove` printed",
        )
    })?;
    let birth = &file.proof.birth;
    let anchors = Anchors::open(&args.anchor, &birth.organization_id)?;
    let anchored = file.leads_to(anchors.points()).map_err(failed)?;
    let answer = json!({
        "ok": true,
        "wallet_id": birth.wallet_id,
        "organization_id": birth.organization_id,
        "external_id": birth.external_id,
        "created_at": birth.created_at,
        "addresses": file.proof.addresses,
        "record": file.proof.record.seq,
        "anchored_record": anchored,
    });
    out.answer(&answer, || text(&file, anchored))?;
    Ok(())
}

fn text(file: &ProofFile, anchored: u64) -> String {
    let birth = &file.proof.birth;
    let seq = file.proof.record.seq;
    let mut text = format!(
        "Proven: audit record {seq} of {}, which the anchored record {anchored} contains, created {} for {}.\n",
        printable(&birth.organization_id),
        printable(&birth.wallet_id),
        printable(&format!("{:?}", birth.external_id)),
    );
    if file.proof.addresses.is_empty() {
        text.push_str(
            "Its addresses are in the proof as a digest alone: the wallet was not active.\n",
        );
    } else {
        let mut table = Table::new(&["CHAIN", "ADDRESS"]);
        for address in &file.proof.addresses {
            table.row([address.chain.clone(), address.address.clone()]);
        }
        text.push_str(&table.render());
    }
    text.push_str(NOT_PROVEN);
    text
}

fn failed(fault: Fault) -> Failure {
    let (reason, advice) = match fault {
        Fault::Format => ("format", "use the program that made it, or a newer one"),
        Fault::AnchorTooOld => (
            "anchor_too_old",
            "use an anchor from after the wallet was made",
        ),
        Fault::EndsBeforeAnchor => (
            "ends_before_anchor",
            "make the proof again with `coffer audit prove`: it then reaches up to now",
        ),
        Fault::Leaf
        | Fault::Addresses
        | Fault::OtherRecord
        | Fault::Root
        | Fault::RecordHash
        | Fault::Unlinked
        | Fault::OtherThanAnchored => (
            "does_not_hold",
            "do not rely on it; ask for a new proof, and if that fails, too, run `coffer audit verify --anchor FILE`",
        ),
    };
    Failure::integrity(format!("nothing is proven: {fault}"), advice)
        .with("ok", false)
        .with("reason", reason)
}
