//! RFC 8259 case by case. `value::read` is the reader of rows; serde_json is the second opinion.

use super::super::value::read;

const ACCEPTED: &[&str] = &[
    "[]",
    "[ ]",
    "{}",
    " {} ",
    "\t\r\n[]\n",
    "null",
    "true",
    "false",
    "\"\"",
    "0",
    "-0",
    "1",
    "-1",
    "10",
    "123",
    "0.5",
    "-0.5",
    "1.5e3",
    "1E3",
    "1e+3",
    "1e-3",
    "0e1",
    "0E+1",
    "20e1",
    "1.0",
    "0.0",
    "[1]",
    "[1,2]",
    "[[]]",
    "[[],{}]",
    "[null,1,\"1\",{}]",
    "[null,null,null]",
    "[\"\"]",
    "[2] ",
    "{\"\":0}",
    "{\"a\":[]}",
    "{\"a\":\"b\",\"c\":\"d\"}",
    "{\"a\":{\"a\":{}}}",
    "{\n\"a\":1\n}",
    "{\"a\\u0000b\":1}",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u0041\"",
    "\"\\u00e9\\u4E2d\"",
    "\"\\uD834\\uDD1E\"",
    "\"\\ud83d\\ude00\"",
    "\"\\\\u0000\"",
    "\"\\u0000\"",
    "\"\\u2028\"",
    "\"\u{2028}\u{2029}\"",
    "\"\u{7f}\"",
    "\"\u{10ffff}\"",
    "\"\u{feff}\"",
    "\"é王😀\"",
    "\"a/*b*/c\"",
    "\" \"",
    "\"\\uFFFF\"",
    "\"\\uDBFF\\uDFFF\"",
    "\"new\u{a0}line\"",
    "[0.000000000000000000001]",
    "[-9223372036854775808,18446744073709551615]",
    "[1e308]",
    "[1e-500]",
    "[123456789.123e-20]",
];

const REFUSED: &[&str] = &[
    "",
    " ",
    "[",
    "]",
    "{",
    "}",
    "[}",
    "{]",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[,]",
    "[1,,2]",
    "[1 2]",
    "[1]]",
    "[1]x",
    "[]]",
    "[][]",
    "{}{}",
    "{}}",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{,\"a\":1}",
    "{\"a\":1,,\"b\":2}",
    "{\"a\" 1}",
    "{\"a\"::1}",
    "{\"a\",1}",
    "{a:1}",
    "{'a':1}",
    "{1:1}",
    "{null:1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":}",
    "{:1}",
    "{[]:1}",
    "[\"a\":1]",
    "nul",
    "nulll",
    "Null",
    "True",
    "TRUE",
    "tru",
    "fals",
    "undefined",
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "inf",
    "-inf",
    "+1",
    "++1",
    "--1",
    "-",
    "- 1",
    "-a",
    "01",
    "-01",
    "00",
    "0x1F",
    "0b1",
    "1.",
    "-1.",
    ".5",
    "-.5",
    "1.e3",
    "1e",
    "1e+",
    "1E-",
    "1e1.5",
    "1ee2",
    "1e+-2",
    "1+2",
    "1_000",
    "1,5",
    "1a",
    "0.1.2",
    "1 000",
    "１",
    "٣",
    "0e",
    "2.e+3",
    "9.e",
    "1.8e+",
    "-1x",
    "1eE2",
    "\"",
    "\"a",
    "\"\\",
    "\"\\\"",
    "\"\\x00\"",
    "\"\\a\"",
    "\"\\'\"",
    "\"\\u\"",
    "\"\\u12\"",
    "\"\\u00G0\"",
    "\"\\u+123\"",
    "\"\\U0041\"",
    "\"\\0\"",
    "\"\\ \"",
    "\"\\😀\"",
    "\"\\ud800\\u\"",
    "\"\\ud800\\u1\"",
    "\"\n\"",
    "\"\t\"",
    "\"\r\"",
    "\"\u{0}\"",
    "\"\u{1f}\"",
    "'a'",
    "`a`",
    "a",
    "é",
    "\\u0041",
    "[\"a\",\n4\n,1,",
    "[\"a\"\u{b}\"b\"]",
    "\u{feff}[]",
    "\u{a0}[]",
    "[\u{c}]",
    "[\u{2060}]",
    "[\u{0}]",
    "[] //",
    "/* */[]",
    "[/**/]",
    "# x",
    "[1]#",
    "[1;2]",
    "{\"a\":1;}",
    "<null>",
    "[<null>]",
    "*",
    "[*]",
    "{\"a\":\"b\"}/",
    "{\"a\":/*x*/1}",
    "{\"a\":1}#",
    "(1)",
    "[\"x\"",
    "[\"\\\n\"]",
    "[True]",
    "[\\u000A\"\"]",
    "abc\"",
    "\"a\"b\"",
    "{\"x\", null}",
    "{\"id\":0,,}",
    "[1\u{b}]",
    "[3[4]]",
    "[{}",
    "{\"a\":[1}",
    "[{\"a\":1]",
    "[\"asd]",
    "{\"asd\":\"asd\"",
    "[false, tru",
    "[\u{e9}]",
    "[0x42]",
];

#[test]
fn every_case_gets_the_standards_answer() {
    assert!(
        ACCEPTED.len() >= 63 && REFUSED.len() >= 157,
        "cases were lost: {} and {}",
        ACCEPTED.len(),
        REFUSED.len()
    );
    for text in ACCEPTED {
        assert!(read(text.as_bytes()).is_ok(), "{text:?}");
        assert!(
            serde_json::from_str::<serde_json::Value>(text).is_ok(),
            "{text:?}"
        );
    }
    for text in REFUSED {
        assert!(read(text.as_bytes()).is_err(), "{text:?}");
        assert!(
            serde_json::from_str::<serde_json::Value>(text).is_err(),
            "{text:?}"
        );
    }
    for bytes in [
        &b"\"\xff\""[..],
        b"\"\xc0\xaf\"",
        b"\"\xed\xa0\x80\"",
        b"[\xe9]",
        b"{\"\xb9\":1}",
        b"1e1\xe5",
    ] {
        assert_eq!(read(bytes).map_err(|flaw| flaw.code), Err("invalid_utf8"));
    }
}

/// Every beginning of a valid text that is no valid text itself is refused, and nothing panics.
#[test]
fn cut_texts_are_refused() {
    let text = r#"{"a":[1.5e-3,true,null,{"b":"\ud83d\ude00é\n"}],"c":-0}"#;
    for end in 0..text.len() {
        assert!(read(&text.as_bytes()[..end]).is_err(), "{end}");
    }
    assert!(read(text.as_bytes()).is_ok());
}

#[test]
fn flaws_are_told_apart_from_syntax() {
    let flaw = |text: &'static str| {
        let (_, flaw) = read(text.as_bytes()).expect(text);
        flaw.map(|flaw| (flaw.offset, flaw.code))
    };
    assert_eq!(flaw(r#"{"a":1,"b":2}"#), None);
    assert_eq!(flaw(r#"[{"a":1,"a":1}]"#), Some((2, "duplicate_key")));
    assert_eq!(flaw(r#"["x\ud800y"]"#), Some((3, "lone_surrogate")));
    assert_eq!(flaw(r#""\ud800\u0041""#), Some((1, "lone_surrogate")));
    assert_eq!(flaw(r#""\ud800\ud800\udc00""#), Some((1, "lone_surrogate")));
    assert_eq!(
        flaw(r#"[1e400,"\ud800"]"#),
        Some((1, "number_out_of_range")),
        "the first of two"
    );
    assert_eq!(flaw("[1,1e400]"), Some((3, "number_out_of_range")));
    assert_eq!(
        flaw("-99999999999999999999"),
        Some((0, "number_out_of_range"))
    );
}
