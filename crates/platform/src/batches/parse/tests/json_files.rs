use super::*;

fn lines(text: impl AsRef<[u8]>, expected: &[Result<&str, (u64, Option<&str>, &str)>]) {
    assert_eq!(brief(&rows_of(Format::Ndjson, &text)), expected);
}

fn document(text: impl AsRef<[u8]>, expected: &[Result<&str, (u64, Option<&str>, &str)>]) {
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

/// F-056.
#[test]
fn wrong_rows_are_faults() {
    let id = Some("external_id");
    fault("{}", id, "external_id_missing");
    fault(r#"{"external_id":null}"#, id, "external_id_missing");
    fault(r#"{"external_id":12}"#, id, "external_id_not_text");
    fault(r#"{"external_id":true}"#, id, "external_id_not_text");
    fault(
        r#"{"external_id":"a\u0000b"}"#,
        id,
        "external_id_refused_character",
    );
    fault(
        r#"{"external_id":"\u202eabc"}"#,
        id,
        "external_id_refused_character",
    );
    fault(
        r#"{"external_id":"a","external_id":"b"}"#,
        None,
        "duplicate_key",
    );
    fault(
        r#"{"external_id":"a","\u0065xternal_id":"b"}"#,
        None,
        "duplicate_key",
    );
    fault(
        r#"{"external_id":"a","metadata":{"x":[{"k":1,"k":1}]}}"#,
        None,
        "duplicate_key",
    );
    fault(r#"{"external_id":"a","email":"x"}"#, None, "unknown_field");
    fault(
        r#"{"external_id":"a","External_id":"x"}"#,
        None,
        "unknown_field",
    );
    fault(
        r#"{"external_id":"a","__proto__":{}}"#,
        None,
        "unknown_field",
    );
    fault(
        r#"{"external_id":"a","metadata":{"x":{"__proto__":1}}}"#,
        Some("metadata"),
        "refused_key",
    );
    fault(
        r#"{"external_id":"a","metadata":[1]}"#,
        Some("metadata"),
        "metadata_not_object",
    );
    fault(
        r#"{"external_id":"a","metadata":"{}"}"#,
        Some("metadata"),
        "metadata_not_object",
    );
    fault(
        r#"{"external_id":"a","metadata":{"x":"\u0000"}}"#,
        Some("metadata"),
        "refused_character",
    );
    fault(
        r#"{"external_id":"a","metadata":{"x":1e400}}"#,
        None,
        "number_out_of_range",
    );
    fault(
        r#"{"external_id":"a","metadata":{"x":18446744073709551616}}"#,
        None,
        "number_out_of_range",
    );
    fault(
        r#"{"external_id":"a","metadata":{"x":-9223372036854775809}}"#,
        None,
        "number_out_of_range",
    );
    fault(
        r#"{"external_id":"a","label":5}"#,
        Some("label"),
        "label_not_text",
    );
    fault(
        r#"{"external_id":"a","label":"\u0007"}"#,
        Some("label"),
        "refused_character",
    );
    fault(
        r#"{"external_id":"a","label":"\ud800"}"#,
        None,
        "lone_surrogate",
    );
    fault(r#"{"external_id":"\udc00\ud800"}"#, None, "lone_surrogate");
    fault(
        r#"{"external_id":"a","chains":["doge"]}"#,
        Some("chains"),
        "unknown_chain",
    );
    fault(
        r#"{"external_id":"a","chains":[]}"#,
        Some("chains"),
        "chains_empty",
    );
    fault(
        r#"{"external_id":"a","chains":[1]}"#,
        Some("chains"),
        "chains_not_list",
    );
    fault(
        r#"{"external_id":"a","chains":{}}"#,
        Some("chains"),
        "chains_not_list",
    );
    for other in ["1", "\"a\"", "null", "true", "[]", "[{}]"] {
        fault(other, None, "not_an_object");
    }
}

#[test]
fn an_id_that_is_a_number_gets_advice() {
    let fault = row(r#"{"external_id":00}"#.replace("00", "42").as_str()).expect_err("number");
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
