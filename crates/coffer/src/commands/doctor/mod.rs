//! `doctor`: what is unsafe in the data folder (when it is here) and in the server (when it answers).
//!
//! It looks and says what to do; it changes nothing.

mod folder;

use serde::Serialize;
use serde_json::{Value, json};

use super::Session;
use crate::args::DoctorArgs;
use crate::client::Resource;
use crate::error::{Failure, Kind};
use crate::output::{Table, items, member};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Ok,
    Warn,
    Unsafe,
}

/// The same shape as the server's.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub level: Level,
    pub check: &'static str,
    pub detail: String,
    pub advice: &'static str,
}

pub(crate) async fn run(session: &Session, args: &DoctorArgs) -> Result<(), Failure> {
    let mut findings = Vec::new();
    if let Some(data_dir) = &args.data_dir {
        for finding in folder::look(data_dir) {
            findings.push(with_place(json!(finding), "data folder"));
        }
    }
    match session.client.get(Resource::at(&["doctor"])).await {
        Ok(answer) => {
            let of_server = answer["findings"]
                .as_array()
                .map_or(items(&answer), Vec::as_slice);
            findings.extend(
                of_server
                    .iter()
                    .map(|finding| with_place(finding.clone(), "server")),
            );
        }
        // The folder's findings are worth having without the server's.
        Err(failure) if args.data_dir.is_some() && is_absent(&failure) => {
            findings.push(not_asked(&failure));
        }
        Err(failure) => return Err(failure),
    }
    report(session, &findings)
}

fn is_absent(failure: &Failure) -> bool {
    failure.kind() == Kind::Unreachable || matches!(failure.code(), "unauthorized" | "forbidden")
}

fn not_asked(failure: &Failure) -> Value {
    let finding = Finding {
        level: Level::Warn,
        check: "server",
        detail: format!("the server was not asked: {failure}"),
        advice: "run doctor again while it runs, with an admin key",
    };
    with_place(json!(finding), "server")
}

fn with_place(mut finding: Value, place: &str) -> Value {
    finding["place"] = place.into();
    finding
}

fn report(session: &Session, findings: &[Value]) -> Result<(), Failure> {
    let count = unsafe_count(findings);
    let answer = json!({"safe": count == 0, "findings": findings});
    session.out.answer(&answer, || text(findings))?;
    if count == 0 {
        return Ok(());
    }
    let advice = "do what each line marked UNSAFE says, then run doctor again";
    Err(Failure::new(
        Kind::Unsafe,
        format!("{count} unsafe setting(s)"),
        advice,
    ))
}

/// A level that this version does not know counts as unsafe.
fn unsafe_count(findings: &[Value]) -> usize {
    let is_unsafe = |finding: &&Value| !matches!(finding["level"].as_str(), Some("ok" | "warn"));
    findings.iter().filter(is_unsafe).count()
}

fn text(findings: &[Value]) -> String {
    let mut table = Table::new(&["LEVEL", "PLACE", "CHECK", "FINDING"]);
    for finding in findings {
        let mut level = member(finding, "level");
        if level == "unsafe" {
            level.make_ascii_uppercase();
        }
        let advice = member(finding, "advice");
        let mut detail = member(finding, "detail");
        if finding["level"] != "ok" && !advice.is_empty() {
            detail.push_str(" -> ");
            detail.push_str(&advice);
        }
        table.row([
            level,
            member(finding, "place"),
            member(finding, "check"),
            detail,
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_to_be_safe_is_unsafe() {
        let of = |level: &str| unsafe_count(&[json!({"level": level})]);
        assert_eq!(of("ok"), 0);
        assert_eq!(of("warn"), 0);
        assert_eq!(of("unsafe"), 1);
        assert_eq!(of("catastrophic"), 1);
        assert_eq!(unsafe_count(&[json!({})]), 1);
    }
}
