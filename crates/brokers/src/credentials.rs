use std::path::Path;

use crate::BrokerError;

/// Far above any user, password or list of authorities.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A small text file that the settings name. The error names the setting and the file, never what is in it.
pub(crate) async fn read(setting: &str, path: &Path) -> Result<String, BrokerError> {
    let failed = |why: String| {
        BrokerError::Settings(format!(
            "{setting}: cannot read {}: {why}",
            path.display()
        ))
    };
    let meta = tokio::fs::metadata(path).await;
    match meta {
        Ok(meta) if meta.len() > FILE_BYTES_MAX => Err(failed("it is too large".to_owned())),
        Ok(_) => tokio::fs::read_to_string(path)
            .await
            .map_err(|error| failed(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// User and password of a file with the one line `user:password`.
pub(crate) async fn user(path: &Path) -> Result<(String, String), BrokerError> {
    let text = read("user_file", path).await?;
    let pair = text.trim_end_matches(['\n', '\r']).split_once(':');
    let Some((user, password)) = pair.filter(|(user, _)| !user.is_empty()) else {
        return Err(BrokerError::Settings(format!(
            "user_file: {} must hold one line, user:password",
            path.display()
        )));
    };
    Ok((user.to_owned(), password.to_owned()))
}
