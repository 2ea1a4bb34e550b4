//! Amounts in the database: big-endian bytes without leading zeros; zero is empty.

use ruint::aliases::U256;

use crate::StoreError;

/// The form that the database stores.
#[must_use]
pub fn to_bytes(units: U256) -> Vec<u8> {
    units.to_be_bytes_trimmed_vec()
}

/// Reads what [`to_bytes`] wrote; another form of the same number is corrupt.
pub fn from_bytes(bytes: &[u8]) -> Result<U256, StoreError> {
    if bytes.len() > 32 || bytes.first() == Some(&0) {
        return Err(StoreError::Corrupt(
            "an amount that is not in its shortest form".to_owned(),
        ));
    }
    Ok(U256::from_be_slice(bytes))
}
