//! Pages: a limit, and a cursor that is opaque to clients.

use std::str::FromStr;

use crate::problem::{Code, Problem};

const DEFAULT_LIMIT: u32 = 100;
pub(crate) const MAX_LIMIT: u32 = 1000;

pub(crate) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        _ => Err(invalid("limit", format_args!("give 1 to {MAX_LIMIT}"))),
    }
}

pub(crate) fn cursor<T: FromStr>(asked: Option<&str>) -> Result<Option<T>, Problem> {
    let refused = |_| invalid("cursor", "pass a next_cursor as it was given");
    asked.map(|text| text.parse().map_err(refused)).transpose()
}

/// A query's or body's value that names nothing.
pub(crate) fn invalid(field: &str, message: impl std::fmt::Display) -> Problem {
    Problem::new(Code::Validation, format_args!("{field}: {message}")).with("field", field)
}

/// Text from a query or body as a `T`, refused under its field's name.
pub(crate) fn parsed<T: FromStr>(field: &str, text: &str) -> Result<T, Problem>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| invalid(field, error))
}

/// A filter that may be left out.
pub(crate) fn filter<T: FromStr>(field: &str, text: Option<&str>) -> Result<Option<T>, Problem>
where
    T::Err: std::fmt::Display,
{
    text.map(|text| parsed(field, text)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_bounded() {
        assert_eq!(limit(None).expect("default"), DEFAULT_LIMIT);
        assert_eq!(limit(Some(MAX_LIMIT)).expect("largest"), MAX_LIMIT);
        for refused in [0, MAX_LIMIT + 1, 1 << 31] {
            assert!(limit(Some(refused)).is_err(), "{refused}");
        }
    }
}
