use super::*;

fn lines(text: impl AsRef<[u8]>, expected: &[Brief<'_>]) {
    assert_eq!(brief(&rows_of(Format::Ndjson, &text)), expected);
}

fn document(text: impl AsRef<[u8]>, expected: &[Brief<'_>]) {
    assert_eq!(brief(&rows_of(Format::Json, &text)), expected);
}

/// One row, in both formats.
fn row(object: &str) -> Row {
    let line = rows_of(Format::Ndjson, object).remove(0);
    let element = rows_of(Format::Json, format!("[{object}]")).remove(0);
    assert_eq!(line, element, "{object}");
    line
}

fn fault(object: &str, column: Option<&str>, code: &str) {
    let fault = row(object).expect_err(object);
    assert_eq!(
        (fault.column.as_deref(), fault.code),
        (column, code),
        "{object}"
    );
}

fn metadata(json: &str) -> Option<String> {
    let object = format!(r#"{{"external_id":"a","metadata":{json}}}"#);
    row(&object).expect(json).metadata
}

#[test]
fn lines_and_documents_are_read() {
    let a = r#"{"external_id":"a"}"#;
    let b = r#"{ "external_id" : "b" , "label" : null }"#;
    lines(format!("{a}\n{b}\n"), &[Ok("a"), Ok("b")]);
    lines(format!("\u{feff}\r\n{a}\r\n \n{b}"), &[Ok("a"), Ok("b")]);
    document(format!("[{a},{b}]"), &[Ok("a"), Ok("b")]);
    document(
        format!("\u{feff}\n[\r\n{a}\n,\t{b} ]\n\n"),
        &[Ok("a"), Ok("b")],
    );
    document(format!("{{\"rows\":[{a},{b}]}}"), &[Ok("a"), Ok("b")]);
    document(format!(" {{ \"\\u0072ows\" : [ {a} ] }} "), &[Ok("a")]);
}

#[test]
fn all_fields_are_read() {
    let good = row(
        r#"{"external_id":"a","label":"王\n\ud83d\ude00","metadata":{"z":1,"a":"x"},"chains":["evm","bitcoin-taproot"]}"#,
    )
    .expect("good");
    assert_eq!(good.label.as_deref(), Some("王\n😀"));
    assert_eq!(good.metadata.as_deref(), Some(r#"{"a":"x","z":1}"#));
    assert_eq!(good.kinds, "evm,bitcoin-taproot".parse().ok());
    let good = row(r#"{"external_id":"a","chains":"evm, tron","metadata":null}"#).expect("good");
    assert_eq!(good.kinds, "evm,tron".parse().ok());
    assert_eq!((good.label, good.metadata), (None, None));
}

/// F-056: the member behind the id, where the fault lies, and its code.
const WRONG_MEMBERS: &[(&str, &str, &str)] = &[
    (r#""external_id":"b""#, "", "duplicate_key"),
    (r#""\u0065xternal_id":"b""#, "", "duplicate_key"),
    (r#""metadata":{"x":[{"k":1,"k":1}]}"#, "", "duplicate_key"),
    (
        r#""metadata":{"x":{"k":1,"\u006b":2}}"#,
        "",
        "duplicate_key",
    ),
    (r#""email":"x""#, "", "unknown_field"),
    (r#""External_id":"x""#, "", "unknown_field"),
    (r#""__proto__":{}"#, "", "unknown_field"),
    (
        r#""metadata":{"x":{"__proto__":1}}"#,
        "metadata",
        "refused_key",
    ),
    (
        r#""metadata":{"\u005f_proto__":1}"#,
        "metadata",
        "refused_key",
    ),
    (r#""metadata":[1]"#, "metadata", "metadata_not_object"),
    (r#""metadata":"{}""#, "metadata", "metadata_not_object"),
    (
        r#""metadata":{"x":"\u0000"}"#,
        "metadata",
        "refused_character",
    ),
    (r#""metadata":{"x":1e400}"#, "", "number_out_of_range"),
    (
        r#""metadata":{"x":18446744073709551616}"#,
        "",
        "number_out_of_range",
    ),
    (
        r#""metadata":{"x":-9223372036854775809}"#,
        "",
        "number_out_of_range",
    ),
    (r#""label":5"#, "label", "label_not_text"),
    (r#""label":"\u0007""#, "label", "refused_character"),
    (r#""label":"\u202eevil""#, "label", "refused_character"),
    (r#""label":"\ud800""#, "", "lone_surrogate"),
    (r#""chains":["doge"]"#, "chains", "unknown_chain"),
    (r#""chains":"evm,doge""#, "chains", "unknown_chain"),
    (r#""chains":[]"#, "chains", "chains_empty"),
    (r#""chains":"""#, "chains", "chains_empty"),
    (r#""chains":[1]"#, "chains", "chains_not_list"),
    (r#""chains":{}"#, "chains", "chains_not_list"),
];

#[test]
fn wrong_members_are_faults() {
    for (member, column, code) in WRONG_MEMBERS {
        let column = (!column.is_empty()).then_some(*column);
        fault(&format!(r#"{{"external_id":"a",{member}}}"#), column, code);
    }
}

#[test]
fn wrong_ids_are_faults() {
    let id = Some("external_id");
    fault("{}", id, "external_id_missing");
    fault(r#"{"external_id":null}"#, id, "external_id_missing");
    fault(r#"{"external_id":" "}"#, id, "external_id_missing");
    fault(r#"{"external_id":12}"#, id, "external_id_not_text");
    fault(r#"{"external_id":true}"#, id, "external_id_not_text");
    let refused = "external_id_refused_character";
    fault(r#"{"external_id":"a\u0000b"}"#, id, refused);
    fault(r#"{"external_id":"\u202eabc"}"#, id, refused);
    fault(r#"{"external_id":"\udc00\ud800"}"#, None, "lone_surrogate");
    for other in ["1", "\"a\"", "null", "true", "[]", "[{}]"] {
        fault(other, None, "not_an_object");
    }
}

#[test]
fn an_id_that_is_a_number_gets_advice() {
    let fault = row(r#"{"external_id":42}"#).expect_err("number");
    assert_eq!(
        fault.message,
        "external_id must be text: write \"42\" in quotes, so that no digit is lost"
    );
    assert_eq!(fault.external_id.as_deref(), Some("42"));
}

#[test]
fn metadata_is_canonical_and_numbers_stay_as_written() {
    for same in [
        "{}",
        r#"{"a":-0,"b":1.0,"c":1.50,"d":1e5,"e":1E+2,"f":0.1e-7}"#,
        r#"{"i":-9223372036854775808,"u":18446744073709551615}"#,
        r#"{"f":0.100000000000000000000000000001,"g":1e308,"h":1e-400}"#,
        r#"{"s":"é\"\\\b\t\n\f\r\u0001\u001f/"}"#,
    ] {
        assert_eq!(metadata(same).as_deref(), Some(same));
    }
    assert_eq!(
        metadata(r#" { "b" : [ 1 , { } , "\u00e9\/\u007f" ] , "a" : null } "#).as_deref(),
        Some("{\"a\":null,\"b\":[1,{},\"é/\u{7f}\"]}")
    );
    // RFC 8785, section 3.2.3: the order is that of UTF-16 units, not of code points.
    assert_eq!(
        metadata(r#"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#)
            .as_deref(),
        Some("{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}")
    );
}

#[test]
fn fields_have_their_own_limits() {
    let label = |n: usize| format!(r#"{{"external_id":"a","label":"{}"}}"#, "x".repeat(n));
    assert!(row(&label(1024)).is_ok());
    fault(&label(1025), Some("label"), "label_too_long");
    let data = |n: usize| {
        format!(
            r#"{{"external_id":"a","metadata":{{"k":"{}"}}}}"#,
            "x".repeat(n)
        )
    };
    assert!(row(&data((16 << 10) - 8)).is_ok());
    fault(&data((16 << 10) - 7), Some("metadata"), "metadata_too_long");
}

/// A bad line is its own fault, a bad byte in a document everyone's.
#[test]
fn syntax_errors_refuse_a_line_or_a_document() {
    lines(
        "{\"external_id\":\"a\"}\n{\"external_id\":\n\"b\"}\n[]\n{\"external_id\":\"c\"} {}\n{\"external_id\":\"d\"}\n",
        &[
            Ok("a"),
            Err((2, None, "invalid_json")),
            Err((3, None, "invalid_json")),
            Err((4, None, "not_an_object")),
            Err((5, None, "invalid_json")),
            Ok("d"),
        ],
    );
    lines(
        b"{\"external_id\":\"\xff\"}\n",
        &[Err((1, None, "invalid_utf8"))],
    );
    let at = |text: &str, expected: &str| {
        let message = refusal(Format::Json, text);
        assert!(message.starts_with(expected), "{text:?}: {message}");
    };
    at("[{},\n {\"a\":tru}]", "line 2, column 7: expected true");
    at("[{\"a\":1,}]", "line 1, column 9: expected a key");
    at("[{},]", "line 1, column 5: expected a row");
    at("[{}", "line 1, column 4: expected a comma or ']'");
    at("[{} {}]", "line 1, column 5: expected a comma or ']'");
    at("[{\"a\":[1}]", "line 1, column 9: expected a comma or ']'");
    at("[{}]\n[", "line 2, column 1: expected the end of the file");
    at("[{\"a", "line 1, column 5: the file ends inside a row");
    at(
        "{\"external_id\":\"a\"}\n{\"external_id\":\"b\"}",
        "line 1, column 2: expected a list of rows",
    );
    at("{\"rows\":{}}", "line 1, column 9: expected a list of rows");
    at("{\"rows\":[{}],\"x\":1}", "line 1, column 13: expected '}'");
    at("\"rows\"", "line 1, column 1: expected a list of rows");
    at("[nul]", "line 1, column 2: expected null");
    at("[", "line 1, column 2: expected a row");
    for empty in ["", " \n", "[]", "{\"rows\":[]}"] {
        at(empty, "the file has no rows");
    }
    let message = refusal(Format::Json, b"[{},\n\"\xff\"]");
    assert_eq!(message, "line 2, column 2: the text is not UTF-8");
}

#[test]
fn nesting_has_a_limit() {
    let nested = |n: usize| {
        // The row and its metadata are two levels.
        let (open, close) = ("[".repeat(n - 2), "]".repeat(n - 2));
        format!(r#"{{"external_id":"a","metadata":{{"k":{open}{close}}}}}"#)
    };
    assert!(row(&nested(32)).is_ok());
    lines(nested(33), &[Err((1, None, "too_deep"))]);
    lines(nested(100_000), &[Err((1, None, "too_deep"))]);
    let deep = refusal(Format::Json, format!("[{}]", nested(100_000)));
    assert!(deep.ends_with("nested deeper than 32 levels"), "{deep}");
    let open = refusal(Format::Json, "[".repeat(100_000));
    assert!(open.ends_with("the file ends inside a row"), "{open}");
}

#[test]
fn a_flaw_does_not_hide_a_syntax_error_behind_it() {
    let message = refusal(Format::Json, r#"[{"a":1,"a":1e999,"b":"\ud800",}]"#);
    assert!(message.contains("expected a key in quotes"), "{message}");
}
