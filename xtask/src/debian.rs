//! Installing a Debian package whose programs the tests need, where we may.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// Installs `package`, as root or by a `sudo` that asks nothing; else fails with `how`, which says what a
/// person has to do. Nothing is passed over because a program is missing.
pub(crate) fn install(package: &str, how: &'static str) -> Result<()> {
    eprintln!("Installing Debian's package {package}.");
    let apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"];
    for arguments in [
        &["update", "-q"][..],
        &["install", "-y", "-q", "--no-install-recommends", package],
    ] {
        as_root(&[&apt, arguments].concat(), how)?;
    }
    Ok(())
}

/// Runs a command as root or by a `sudo` that asks nothing; else fails with `how`.
pub(crate) fn as_root(command: &[&str], how: &'static str) -> Result<()> {
    let sudo_works = || process::output(Command::new("sudo").args(["-n", "true"])).is_ok();
    let sudo: &[&str] = match (process::which("apt-get").is_some(), process::is_root()) {
        (true, true) => &[],
        (true, false) if sudo_works() => &["sudo", "-n"],
        _ => bail!("{how}"),
    };
    let words = [sudo, command].concat();
    process::run(Command::new(words[0]).args(&words[1..])).context(how)
}
