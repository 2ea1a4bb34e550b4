//! Installing a Debian package whose programs the tests need, where we may.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// Installs `package`, as root or by a `sudo` that asks nothing; else fails with `how`, which says what a
/// person has to do. Nothing is passed over because a program is missing.
pub(crate) fn install(package: &str, how: &'static str) -> Result<()> {
    let sudo_works = || process::output(Command::new("sudo").args(["-n", "true"])).is_ok();
    let sudo: &[&str] = match (process::which("apt-get").is_some(), process::is_root()) {
        (true, true) => &[],
        (true, false) if sudo_works() => &["sudo", "-n"],
        _ => bail!("{how}"),
    };
    eprintln!("Installing Debian's package {package}.");
    for arguments in [
        &["update", "-q"][..],
        &["install", "-y", "-q", "--no-install-recommends", package],
    ] {
        let words: Vec<_> = sudo
            .iter()
            .chain(&["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"])
            .chain(arguments)
            .copied()
            .collect();
        process::run(Command::new(words[0]).args(&words[1..])).context(how)?;
    }
    Ok(())
}
