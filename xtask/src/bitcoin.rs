//! A real Bitcoin node for tests: Bitcoin Knots from Debian's unstable suite, unpacked beside the system.
//!
//! No package of it is installed: the suite's own C library and loader lie in a folder of the target folder,
//! and a script starts the node with them. apt checks every file against the archive's signature; the node's
//! package must moreover be the one version, by its SHA-256, that these tests were written against.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{process, test};

const PACKAGE: &str = "bitcoin-knots";
const VERSION: &str = "29.4.knots20260508.3-1";
const SHA256: &str = "33649ca0ff563b2276b0c13cf11e8b1f87b2a977bb3f91d86fdee569d8568cc1";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const HOW: &str = "tests of Bitcoin need a real node; put the program of one (Bitcoin Knots or Core, 28 or newer) into COFFER_TEST_BITCOIND";

/// The program of the node; unpacked first, unless it is there.
pub(crate) fn node(target: &Path) -> Result<PathBuf> {
    if let Some(named) = named() {
        return Ok(named);
    }
    let folder = target.join("bitcoin-node");
    let program = folder.join("bitcoind");
    let mark = folder.join("version");
    if program.exists() && fs::read_to_string(&mark).is_ok_and(|text| text == VERSION) {
        return Ok(program);
    }
    unpack(&folder).with_context(|| format!("no {PACKAGE} {VERSION} from Debian; {HOW}"))?;
    let told = process::output(Command::new(&program).arg("-version"))?;
    if !told.starts_with("Bitcoin Knots") {
        bail!(
            "{} does not run here; it says: {}",
            program.display(),
            told.trim()
        );
    }
    fs::write(&mark, VERSION)?;
    Ok(program)
}

/// `cargo xtask bitcoin-node`
pub(crate) fn run(root: &Path) -> Result<()> {
    let program = node(&test::target_folder(root)?)?;
    println!("{}", program.display());
    Ok(())
}

/// One that a person chose.
#[expect(
    clippy::disallowed_methods,
    reason = "a person tells by the environment where the node is"
)]
fn named() -> Option<PathBuf> {
    std::env::var("COFFER_TEST_BITCOIND")
        .ok()
        .map(PathBuf::from)
}

fn unpack(folder: &Path) -> Result<()> {
    for program in ["apt-get", "dpkg-deb"] {
        if process::which(program).is_none() {
            bail!("this machine has no {program}");
        }
    }
    let _ = fs::remove_dir_all(folder);
    let apt = Apt::beside(folder)?;
    eprintln!("Unpacking {PACKAGE} {VERSION} into {}.", folder.display());
    process::output(apt.command().args(["update", "-qq"]))?;
    let wanted = format!("{PACKAGE}={VERSION}");
    let planned = process::output(apt.command().args(["--simulate", "install", &wanted]))?;
    let packages: Vec<&str> = planned
        .lines()
        .filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next())
        .collect();
    let mut download = apt.command();
    download.current_dir(&apt.debs).args(["download", "-qq"]);
    download.args(packages.iter().map(|name| match *name {
        PACKAGE => wanted.as_str(),
        other => other,
    }));
    process::output(&mut download)?;
    let root = folder.join("root");
    for deb in fs::read_dir(&apt.debs)? {
        let deb = deb?.path();
        let name = deb.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(PACKAGE) {
            check_sum(&deb)?;
        }
        process::output(
            Command::new("dpkg-deb")
                .arg("--extract")
                .arg(&deb)
                .arg(&root),
        )?;
    }
    fs::remove_dir_all(&apt.state)?;
    write_script(folder, &root)
}

fn check_sum(deb: &Path) -> Result<()> {
    let told = process::output(Command::new("sha256sum").arg(deb))?;
    if told.split(' ').next() == Some(SHA256) {
        return Ok(());
    }
    bail!(
        "the package is another one than the tests were written against: {}",
        told.trim()
    )
}

/// The loader of the unpacked C library starts the node, so that nothing of the system's is mixed in.
fn write_script(folder: &Path, root: &Path) -> Result<()> {
    let names = ["x86_64-linux-gnu", "aarch64-linux-gnu"];
    let libraries = names.map(|name| root.join("usr/lib").join(name));
    let libraries = libraries
        .into_iter()
        .find(|folder| folder.is_dir())
        .context("no libraries for this machine among the packages")?;
    let loader = fs::read_dir(&libraries)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("ld-linux"))
        })
        .context("no loader among the libraries")?;
    let mut script = String::from("#!/bin/sh\n");
    writeln!(
        script,
        "exec '{}' --library-path '{}' '{}' \"$@\"",
        loader.display(),
        libraries.display(),
        root.join("usr/bin/bitcoind").display()
    )?;
    let program = folder.join("bitcoind");
    fs::write(&program, script)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// apt with lists, cache and state of its own, for the unstable suite alone.
struct Apt {
    state: PathBuf,
    debs: PathBuf,
}

impl Apt {
    fn beside(folder: &Path) -> Result<Self> {
        let state = folder.join("apt");
        let debs = state.join("debs");
        for part in ["lists/partial", "cache/archives/partial", "debs"] {
            fs::create_dir_all(state.join(part))?;
        }
        fs::write(state.join("status"), "")?;
        let archive = archive()?;
        let line = format!("deb [signed-by={KEYRING}] {archive} sid main\n");
        fs::write(state.join("sources.list"), line)?;
        Ok(Self { state, debs })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("apt-get");
        let place = |option: &str, part: &str| {
            format!("{option}={}", self.state.join(part).to_string_lossy())
        };
        for option in [
            place("Dir::Etc::sourcelist", "sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            place("Dir::State", ""),
            place("Dir::State::status", "status"),
            place("Dir::State::lists", "lists"),
            place("Dir::Cache", "cache"),
            "APT::Sandbox::User=".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "APT::Install-Recommends=false".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command
    }
}

/// The archive that this machine uses already.
fn archive() -> Result<String> {
    let told = process::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
        "Origin: Debian",
    ]))?;
    let first = told.lines().find(|line| !line.contains("security"));
    first
        .map(str::to_owned)
        .context("apt knows no Debian archive")
}
