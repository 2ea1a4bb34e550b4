//! Credentials come from files that nobody else may read, at each connect, and go into the client alone.

use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use zeroize::Zeroizing;

use crate::BrokerError;

const BYTES_MAX: u64 = 64 << 10;
const OTHERS: u32 = 0o077;

/// The text of a credentials file, without the line's end. Errors name the file and never its content.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, BrokerError> {
    let refuse =
        |why: &str| BrokerError::Settings(format!("the credentials file {} {why}", path.display()));
    let opened = std::fs::OpenOptions::new()
        .read(true)
        // A pipe in its place must not hold the start up.
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path);
    let file = opened.map_err(|error| refuse(&format!("cannot be opened: {error}")))?;
    let about = file
        .metadata()
        .map_err(|error| refuse(&format!("cannot be looked at: {error}")))?;
    if !about.is_file() {
        return Err(refuse("is not a file"));
    }
    if about.mode() & OTHERS != 0 {
        return Err(refuse("can be read by others; chmod it to 600"));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|_| refuse("is not text"))?;
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    if text.is_empty() {
        return Err(refuse("is empty"));
    }
    Ok(text)
}

/// `user:password` on one line; the password may hold colons.
pub(crate) fn read_user(path: &Path) -> Result<(String, Zeroizing<String>), BrokerError> {
    let text = read(path)?;
    match text.split_once(':') {
        Some((user, password)) if !user.is_empty() && !text.contains('\n') => {
            Ok((user.to_owned(), Zeroizing::new(password.to_owned())))
        }
        _ => Err(BrokerError::Settings(format!(
            "the credentials file {} must hold one line, user:password",
            path.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("written");
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode))
            .expect("its owner's");
        file
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_without_its_content() {
        let open = file("ann:secret", 0o640);
        let error = read(open.path())
            .expect_err("open to the group")
            .to_string();
        assert!(
            error.contains("chmod") && !error.contains("secret"),
            "{error}"
        );
    }

    #[test]
    fn a_user_and_a_password_stand_on_one_line() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let found = read_user(file(text, 0o600).path()).ok();
            let found = found
                .as_ref()
                .map(|(user, word)| (user.as_str(), word.as_str()));
            assert_eq!(found, expected, "{text:?}");
        };
        check("ann:secret\n", Some(("ann", "secret")));
        check("ann:a:b", Some(("ann", "a:b")));
        check("ann", None);
        check(":secret", None);
        check("ann:a\nbob:b", None);
        check("", None);
    }
}
