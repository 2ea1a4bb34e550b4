use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Finding, Level};

/// Permission bits of group and others.
const OTHERS: u32 = 0o077;

/// Looks at the layout that `coffer init` made.
pub(crate) fn look(data_dir: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(folder) = metadata(data_dir, "data-dir", &mut findings) else {
        findings.push(finding(
            Level::Unsafe,
            "data-dir",
            format!("{} cannot be looked at", data_dir.display()),
            "name the folder that `coffer init` made, as its owner",
        ));
        return findings;
    };
    if folder.is_dir() {
        findings.push(closed(
            &folder,
            "data-dir",
            "data folder",
            "chmod 700 the data folder",
        ));
    } else {
        findings.push(finding(
            Level::Unsafe,
            "data-dir",
            format!("{} is not a folder", data_dir.display()),
            "name the folder that `coffer init` made",
        ));
        return findings;
    }
    key_file(data_dir, folder.uid(), &mut findings);
    for (name, check, advice) in [
        ("coffer.db", "database-file", "chmod 600 coffer.db"),
        ("coffer.db-wal", "database-log", "chmod 600 coffer.db-wal"),
        ("audit.anchor", "anchor-file", "chmod 600 audit.anchor"),
    ] {
        if let Some(file) = metadata(&data_dir.join(name), check, &mut findings) {
            let mut found = closed(&file, check, name, advice);
            // A closed folder keeps others away from what is in it, until it is copied elsewhere.
            if found.level == Level::Unsafe && folder.mode() & OTHERS == 0 {
                found.level = Level::Warn;
            }
            findings.push(found);
        }
    }
    recovery(&data_dir.join("recovery"), &mut findings);
    passphrase(&data_dir.join("passphrase"), &mut findings);
    findings.push(core_limit());
    findings
}

fn finding(level: Level, check: &'static str, detail: String, advice: &'static str) -> Finding {
    Finding {
        level,
        check,
        detail,
        advice,
    }
}

/// `None` when it is not there. What cannot be looked at is a finding, not a pass.
fn metadata(path: &Path, check: &'static str, findings: &mut Vec<Finding>) -> Option<Metadata> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            findings.push(finding(
                Level::Unsafe,
                check,
                format!("{} cannot be looked at: {error}", path.display()),
                "run doctor as the user that runs the server",
            ));
            None
        }
    }
}

/// Whether nobody but the owner has any right.
fn closed(metadata: &Metadata, check: &'static str, what: &str, advice: &'static str) -> Finding {
    let mode = metadata.mode() & 0o7777;
    let level = if mode & OTHERS == 0 {
        Level::Ok
    } else {
        Level::Unsafe
    };
    let who = if level == Level::Ok {
        "only its owner"
    } else {
        "others than its owner"
    };
    finding(
        level,
        check,
        format!("{what} is open to {who} (mode {mode:04o})"),
        advice,
    )
}

fn key_file(data_dir: &Path, owner: u32, findings: &mut Vec<Finding>) {
    let path = data_dir.join("keys/vault.key");
    let Some(file) = metadata(&path, "key-file", findings) else {
        findings.push(finding(
            Level::Warn,
            "key-file",
            format!("{} is not there", path.display()),
            "right only when another machine holds the keys",
        ));
        return;
    };
    findings.push(closed(
        &file,
        "key-file",
        "key file",
        "chmod 600 keys/vault.key",
    ));
    if !file.is_file() || file.uid() != owner {
        findings.push(finding(
            Level::Unsafe,
            "key-file-owner",
            "the key file is a link, or belongs to another user than the data folder".to_owned(),
            "put the key file itself here, owned by the user that runs the server",
        ));
    }
    if let Some(folder) = metadata(&data_dir.join("keys"), "key-dir", findings) {
        findings.push(closed(&folder, "key-dir", "key folder", "chmod 700 keys"));
    }
}

/// A mnemonic in the clear undoes the key file's encryption.
fn recovery(folder: &Path, findings: &mut Vec<Finding>) {
    let lying = match std::fs::read_dir(folder) {
        Ok(entries) => entries
            .filter_map(Result::ok)
            .filter(|entry| {
                entry
                    .path()
                    .extension()
                    .is_some_and(|end| end == "mnemonic")
            })
            .count(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => {
            findings.push(finding(
                Level::Unsafe,
                "recovery-file",
                format!("{} cannot be looked into: {error}", folder.display()),
                "run doctor as the user that runs the server",
            ));
            return;
        }
    };
    findings.push(match lying {
        0 => finding(
            Level::Ok,
            "recovery-file",
            "no recovery file lies in the data folder".to_owned(),
            "",
        ),
        count => finding(
            Level::Unsafe,
            "recovery-file",
            format!("{count} recovery file(s) with a mnemonic in the clear lie in {}", folder.display()),
            "write the words down or move the file to a safe place off this machine, run `coffer vault drill` with it, then delete it here",
        ),
    });
}

/// Beside the key file, a passphrase protects against nothing but a copy of the key file alone.
fn passphrase(path: &Path, findings: &mut Vec<Finding>) {
    let Some(file) = metadata(path, "passphrase", findings) else {
        findings.push(finding(
            Level::Ok,
            "passphrase",
            "no passphrase lies beside the key file".to_owned(),
            "",
        ));
        return;
    };
    let level = if file.mode() & OTHERS == 0 {
        Level::Warn
    } else {
        Level::Unsafe
    };
    findings.push(finding(
        level,
        "passphrase",
        "the passphrase lies beside the key file: whoever copies the folder has the keys".to_owned(),
        "keep it elsewhere and name it with --passphrase-file, such as a credential of the service manager",
    ));
}

/// Of processes started from here. coffer-signer sets its own to zero whatever this says.
fn core_limit() -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Core).current;
    match limit {
        Some(0) => finding(
            Level::Ok,
            "core-dumps",
            "core dumps are off for processes started from here".to_owned(),
            "",
        ),
        _ => finding(
            Level::Warn,
            "core-dumps",
            "a process started from here may leave a core dump".to_owned(),
            "start the server with `ulimit -c 0` or LimitCORE=0",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("mode set");
    }

    fn sound() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        set(folder.path(), 0o700);
        for sub in ["keys", "recovery"] {
            fs::create_dir(folder.path().join(sub)).expect("made");
            set(&folder.path().join(sub), 0o700);
        }
        for file in ["keys/vault.key", "coffer.db"] {
            fs::write(folder.path().join(file), "x").expect("written");
            set(&folder.path().join(file), 0o600);
        }
        folder
    }

    /// The worst level of each check in `wanted`, after `change`.
    fn check(change: impl FnOnce(&Path), wanted: &str, expected: Level) {
        let folder = sound();
        change(folder.path());
        let findings = look(folder.path());
        let levels: Vec<_> = findings
            .iter()
            .filter(|finding| finding.check == wanted)
            .map(|finding| finding.level)
            .collect();
        assert_eq!(levels, [expected], "{wanted}");
    }

    #[test]
    fn a_sound_folder_has_nothing_unsafe() {
        let folder = sound();
        let findings = look(folder.path());
        assert!(
            findings
                .iter()
                .all(|finding| finding.level != Level::Unsafe),
            "{findings:?}"
        );
    }

    #[test]
    fn each_unsafe_setting_is_found() {
        check(|folder| set(folder, 0o755), "data-dir", Level::Unsafe);
        check(
            |folder| set(&folder.join("keys/vault.key"), 0o640),
            "key-file",
            Level::Unsafe,
        );
        check(
            |folder| set(&folder.join("keys"), 0o711),
            "key-dir",
            Level::Unsafe,
        );
        let open_database = |mode| {
            move |folder: &Path| {
                set(&folder.join("coffer.db"), 0o644);
                set(folder, mode);
            }
        };
        check(open_database(0o700), "database-file", Level::Warn);
        check(open_database(0o711), "database-file", Level::Unsafe);
        let leave = |folder: &Path| {
            fs::write(folder.join("recovery/vlt_0.mnemonic"), "x").expect("written");
        };
        check(leave, "recovery-file", Level::Unsafe);
        let link = |folder: &Path| {
            let key = folder.join("keys/vault.key");
            fs::rename(&key, folder.join("elsewhere")).expect("moved");
            std::os::unix::fs::symlink(folder.join("elsewhere"), &key).expect("linked");
        };
        check(link, "key-file-owner", Level::Unsafe);
    }

    #[test]
    fn a_passphrase_beside_the_key_is_a_warning_at_best() {
        let put = |mode| {
            move |folder: &Path| {
                fs::write(folder.join("passphrase"), "x").expect("written");
                set(&folder.join("passphrase"), mode);
            }
        };
        check(put(0o600), "passphrase", Level::Warn);
        check(put(0o644), "passphrase", Level::Unsafe);
    }

    #[test]
    fn a_folder_that_is_not_there_is_not_safe() {
        let findings = look(Path::new("/nonexistent/coffer"));
        assert!(
            findings
                .iter()
                .any(|finding| finding.level == Level::Unsafe)
        );
    }
}
