//! Amounts as the database holds them: big-endian bytes without leading zeros; zero is empty.

use ruint::aliases::U256;

use crate::StoreError;

#[must_use]
pub fn to_bytes(units: U256) -> Vec<u8> {
    units.to_be_bytes_trimmed_vec()
}

/// Refuses what [`to_bytes`] does not write, so that one amount has one form.
pub fn from_bytes(bytes: &[u8]) -> Result<U256, StoreError> {
    if bytes.first() == Some(&0) {
        return Err(StoreError::Corrupt(
            "an amount with leading zeros".to_owned(),
        ));
    }
    U256::try_from_be_slice(bytes)
        .ok_or_else(|| StoreError::Corrupt(format!("an amount of {} bytes", bytes.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_one_form() {
        for units in [U256::ZERO, U256::from(1), U256::from(256), U256::MAX] {
            assert_eq!(from_bytes(&to_bytes(units)).ok(), Some(units));
        }
        assert!(to_bytes(U256::ZERO).is_empty());
        assert!(from_bytes(&[0, 1]).is_err());
        assert!(from_bytes(&[1; 33]).is_err());
    }
}
