//! Makes a text safe to open as a spreadsheet cell.
//!
//! A cell that starts with a formula sign is run, not shown, by spreadsheet programs (CWE-1236), and
//! customers' texts come from outside. Imports keep such a text as it is; exports to CSV pass every
//! text through here, so that the cell shows the text with an apostrophe before it. Quoting for CSV
//! itself is the writer's business and comes after.

use std::borrow::Cow;

/// Puts `'` before a text that a spreadsheet would take for a formula.
///
/// Spaces before the sign do not disarm it in every program, so they are looked past. The full-width
/// signs count too: East Asian editions read them as their ASCII forms.
#[must_use]
pub fn neutralise(text: &str) -> Cow<'_, str> {
    let dangerous = text.starts_with(['\t', '\r', '\n'])
        || text
            .trim_start()
            .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    if dangerous {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(neutralise(text), expected, "{text:?}");
    }

    #[test]
    fn formula_like_texts_get_an_apostrophe() {
        check("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0");
        check("+1", "'+1");
        check("-2+3", "'-2+3");
        check("@SUM(A1)", "'@SUM(A1)");
        check("\t=1", "'\t=1");
        check("\r=1", "'\r=1");
        check("\n=1", "'\n=1");
        check("\tx", "'\tx");
        check("  =1", "'  =1");
        for sign in ["＝1", "＋1", "－1", "＠x"] {
            check(sign, &format!("'{sign}"));
        }
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for text in ["", "cust-1", "顾客-001", "a=b", "'=1", "1-2", "–dash"] {
            check(text, text);
            assert!(matches!(neutralise(text), Cow::Borrowed(_)));
        }
    }
}
