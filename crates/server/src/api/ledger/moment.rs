//! Moments as clients write them: RFC 3339.

use crate::api::page;
use crate::problem::Problem;

/// Unix milliseconds of `2026-11-22T17:00:00.000Z`, or with an offset. Digits beyond milliseconds are cut off.
pub(in crate::api) fn parsed(field: &str, text: &str) -> Result<i64, Problem> {
    read(text).ok_or_else(|| page::invalid(field, "give a time like 2026-11-22T17:00:00Z"))
}

fn read(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        let good = digits.bytes().all(|byte| byte.is_ascii_digit());
        good.then(|| digits.parse::<i64>().ok())?
    };
    let is = |at: usize, chars: &[u8]| chars.contains(text.as_bytes().get(at).unwrap_or(&0));
    let framed = is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":");
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let within = (1..=12).contains(&month) && hour < 24 && minute < 60 && second < 60;
    if !framed || !within || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let rest = text.get(19..)?;
    let (ms, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let end = rest
                .find(|char: char| !char.is_ascii_digit())
                .filter(|end| *end > 0)?;
            let (digits, zone) = rest.split_at(end);
            let ms = format!("{digits:0<3}").get(..3)?.parse::<i64>().ok()?;
            (ms, zone)
        }
    };
    let days = days_from_civil(year, month, day);
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some((seconds - offset_s(zone)?) * 1000 + ms)
}

/// A plus sign in a query arrives as a space.
fn offset_s(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+" | " ", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let two = |text: &str| {
        let good = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        good.then(|| text.parse::<i64>().ok())?
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar; years begin in March here, the leap day is last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use coffer_domain::time::rfc3339;

    #[test]
    fn what_the_api_writes_it_reads() {
        for ms in [0, 951_782_400_001, 1_709_251_199_999, 4_107_542_400_000] {
            assert_eq!(read(&rfc3339(ms)), Some(ms));
        }
    }

    #[test]
    fn forms_and_offsets() {
        let check = |text, ms| assert_eq!(read(text), ms, "{text}");
        check("1970-01-01T01:00:00+01:00", Some(0));
        check("1970-01-01T01:00:00 01:00", Some(0));
        check("1969-12-31T19:00:00.5-05:00", Some(500));
        check("1970-01-01t00:00:00.1239z", Some(123));
        for text in [
            "",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-13-01T00:00:00Z",
            "1970-02-29T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00Z ",
            "1970-01-01T00:00:00+1:00",
            "+970-01-01T00:00:00Z",
            "1970-01-01T00:00:00é",
        ] {
            check(text, None);
        }
    }
}
