//! Which crate may know which: the house's table, checked with `cargo metadata` and `cargo tree`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Finding;
use crate::process;

/// Room → rooms it may depend on (ordinary and build dependencies). A new crate needs an ADR and a line here.
const TABLE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("derive", &[]),
    ("failpoint", &[]),
    ("chains", &["domain"]),
    ("keys", &["domain", "derive"]),
    ("signing", &["domain"]),
    (
        "signer",
        &["signing", "keys", "chains", "domain", "derive", "failpoint"],
    ),
    ("nodes", &["chains", "domain"]),
    ("brokers", &["domain"]),
    ("store", &["domain", "failpoint"]),
    (
        "platform",
        &[
            "domain",
            "derive",
            "chains",
            "nodes",
            "brokers",
            "signing",
            "store",
            "failpoint",
        ],
    ),
    (
        "server",
        &[
            "platform",
            "domain",
            "derive",
            "chains",
            "nodes",
            "brokers",
            "signing",
            "store",
            "failpoint",
        ],
    ),
    ("coffer", &["server"]),
    // Never shipped, so it may know anyone; the others know it as a dev-dependency only.
    (
        "testkit",
        &[
            "domain",
            "derive",
            "chains",
            "keys",
            "nodes",
            "brokers",
            "signing",
            "store",
            "platform",
            "server",
            "failpoint",
        ],
    ),
];

/// Program → what must not be linked into it, and why.
const ABSENT: &[(&str, &[&str], &str)] = &[
    (
        "coffer",
        &["coffer-keys", "coffer-signer", "coffer-testkit"],
        "no secret key can be named in `coffer`",
    ),
    (
        "coffer-signer",
        &[
            "coffer-nodes",
            "coffer-store",
            "coffer-platform",
            "coffer-server",
            "coffer-testkit",
        ],
        "the signer knows keys, not customers",
    ),
    (
        "coffer-signer",
        &[
            "tokio", "hyper", "reqwest", "rusqlite", "sqlx", "tonic", "rustls",
        ],
        "the signer has no network and no database",
    ),
];

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

pub(crate) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut cargo = Command::new("cargo");
    let text = process::output(
        cargo
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .current_dir(root),
    )?;
    let metadata: Metadata =
        serde_json::from_str(&text).context("cargo metadata printed something unknown")?;
    let mut findings = who_knows_whom(&metadata.packages);
    for (program, absent, why) in ABSENT {
        let mut cargo = Command::new("cargo");
        cargo
            .args([
                "tree",
                "-e",
                "normal",
                "--all-features",
                "--prefix",
                "none",
                "-p",
                program,
            ])
            .current_dir(root);
        findings.extend(absences(
            program,
            &process::output(&mut cargo)?,
            absent,
            why,
        ));
    }
    Ok(findings)
}

fn who_knows_whom(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages.iter().filter(|package| package.name != "xtask") {
        let room = room(&package.name);
        let path = format!("crates/{room}/Cargo.toml");
        let Some((_, allowed)) = TABLE.iter().find(|(known, _)| *known == room) else {
            findings.push(Finding::new(&path, 0, "this crate is not in the table of rooms; write an ADR and add it to xtask/src/tidy/rooms.rs"));
            continue;
        };
        let shipped = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind.as_deref() != Some("dev"));
        for other in shipped
            .map(|dependency| &dependency.name)
            .filter(|name| is_ours(name))
        {
            if !allowed.contains(&self::room(other)) {
                findings.push(Finding::new(
                    &path,
                    0,
                    format!(
                        "`{}` may not depend on `{other}`; allowed: {}",
                        package.name,
                        allowed.join(", ")
                    ),
                ));
            }
        }
    }
    findings
}

fn is_ours(name: &str) -> bool {
    name.starts_with("coffer") || name == "xtask"
}

fn room(package: &str) -> &str {
    package.strip_prefix("coffer-").unwrap_or(package)
}

/// `tree` is the output of `cargo tree --prefix none`: a line begins with the crate's name.
fn absences(program: &str, tree: &str, absent: &[&str], why: &str) -> Vec<Finding> {
    let linked = |name: &&&str| {
        tree.lines()
            .any(|line| line.split(' ').next() == Some(**name))
    };
    let path = format!("crates/{}/Cargo.toml", room(program));
    let found = absent.iter().filter(linked);
    found
        .map(|name| {
            Finding::new(
                &path,
                0,
                format!(
                    "`{program}` links `{name}`, but {why} (cargo tree -p {program} -i {name})"
                ),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependency = |(name, kind): &(&str, Option<&str>)| Dependency {
            name: (*name).into(),
            kind: kind.map(Into::into),
        };
        Package {
            name: name.into(),
            dependencies: dependencies.iter().map(dependency).collect(),
        }
    }

    fn check(name: &str, dependencies: &[(&str, Option<&str>)], findings: usize) {
        assert_eq!(
            who_knows_whom(&[package(name, dependencies)]).len(),
            findings,
            "{name} {dependencies:?}"
        );
    }

    #[test]
    fn rooms_know_whom_the_table_says() {
        check(
            "coffer-platform",
            &[("coffer-store", None), ("serde", None)],
            0,
        );
        check("coffer-platform", &[("coffer-keys", None)], 1);
        check("coffer-platform", &[("coffer-testkit", Some("dev"))], 0);
        check("coffer-domain", &[("coffer-chains", Some("build"))], 1);
        check(
            "coffer",
            &[("coffer-server", None), ("coffer-store", None)],
            1,
        );
        check("coffer-novelty", &[], 1);
    }

    #[test]
    fn a_linked_secret_is_found() {
        let tree = "coffer v0.1.0 (path)\ncoffer-server v0.1.0\ncoffer-keys v0.1.0 (*)\n";
        assert_eq!(
            absences("coffer", tree, &["coffer-keys", "coffer-signer"], "so").len(),
            1
        );
        assert_eq!(
            absences(
                "coffer",
                "coffer v0.1.0\ncoffer-keystone v1\n",
                &["coffer-keys"],
                "so"
            )
            .len(),
            0
        );
    }
}
