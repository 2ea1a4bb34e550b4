//! Amounts as the schema stores them: big-endian bytes without leading zeros; zero is empty.

use ruint::aliases::U256;

use crate::StoreError;

#[must_use]
pub fn to_bytes(units: U256) -> Vec<u8> {
    units.to_be_bytes_trimmed_vec()
}

/// Refuses more than 32 bytes, and a leading zero: one amount has one form.
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
        for (units, bytes) in [
            (U256::ZERO, vec![]),
            (U256::from(255), vec![255]),
            (U256::from(256), vec![1, 0]),
            (U256::MAX, vec![255; 32]),
        ] {
            assert_eq!(to_bytes(units), bytes);
            assert_eq!(from_bytes(&bytes).expect("reads"), units);
        }
        for bytes in [&[0][..], &[0, 1], &[1; 33]] {
            assert!(from_bytes(bytes).is_err(), "{bytes:?}");
        }
    }
}
