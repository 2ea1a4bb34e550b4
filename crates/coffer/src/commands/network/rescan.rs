//! Reading a range again, and what came of it.

use reqwest::Method;
use serde_json::{Value, json};

use super::super::Session;
use crate::client::Resource;
use crate::error::Failure;
use crate::output::{Table, items, member};

/// Asks for a range; it is read in the background.
pub(super) async fn ask(
    session: &Session,
    id: &str,
    (first, last): (u64, u64),
) -> Result<(), Failure> {
    let path = ["networks", id, "rescan"];
    let body = json!({ "first": first, "last": last });
    let rescan = session
        .client
        .send(Method::POST, Resource::at(&path), Some(&body))
        .await?;
    session
        .out
        .answer(&rescan, || table(std::slice::from_ref(&rescan)))?;
    Ok(())
}

pub(super) async fn list(session: &Session, id: &str) -> Result<(), Failure> {
    let path = ["networks", id, "rescans"];
    let rescans = session.client.get(Resource::at(&path)).await?;
    session.out.answer(&rescans, || table(items(&rescans)))?;
    Ok(())
}

fn table(rescans: &[Value]) -> String {
    let mut table = Table::new(&[
        "ID",
        "FIRST",
        "LAST",
        "STATE",
        "COMPARED",
        "DIFFERING",
        "FOUND",
        "UNEXPLAINED",
        "WAITS FOR",
    ]);
    for rescan in rescans {
        table.row(
            [
                "id",
                "first",
                "last",
                "state",
                "blocks_compared",
                "blocks_differing",
                "deposits_found",
                "deposits_unexplained",
                "reason",
            ]
            .map(|name| member(rescan, name)),
        );
    }
    table.render()
}
