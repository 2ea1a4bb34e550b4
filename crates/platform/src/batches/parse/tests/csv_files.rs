use super::*;

fn good(text: impl AsRef<[u8]>, expected: &[&str]) {
    assert_eq!(ids(&rows_of(Format::Csv, &text)), expected);
}

fn check(text: impl AsRef<[u8]>, expected: &[Brief<'_>]) {
    assert_eq!(brief(&rows_of(Format::Csv, &text)), expected);
}

/// F-047.
#[test]
fn valid_variants_are_read_alike() {
    good("external_id\na\nb\n", &["a", "b"]);
    good("external_id\na\nb", &["a", "b"]);
    good("external_id\r\na\r\nb\r\n", &["a", "b"]);
    good("external_id\ra\rb\r", &["a", "b"]);
    good("external_id\ra\rb", &["a", "b"]);
    good("\u{feff}external_id\na\nb\n", &["a", "b"]);
    good("\u{feff}\"external_id\"\n\"a\"\n\"b\"", &["a", "b"]);
    good("external_id,label\na,x\nb,\n", &["a", "b"]);
    good("external_id;label\na;x,y,z\nb;\n", &["a", "b"]);
    good("external_id\tlabel\na\tx;,\nb\t\n", &["a", "b"]);
    good(" External_ID , LABEL \na,x\nb,\n", &["a", "b"]);
    good(
        "\"external_id\",\"label\"\n\"a\",\"x\"\n\"b\",\"\"",
        &["a", "b"],
    );
    good("label,external_id\nx,a\ny,b\n", &["a", "b"]);
    good("\n\n\r\nexternal_id\n\na\n\r\n\nb\n\n\n", &["a", "b"]);
    good("external_id\n a \n\"b \"\n", &["a", "b"]);
    good("external_id\n\"a\"\"q\"\nsize 5\"\n", &["a\"q", "size 5\""]);
}

/// The sign is taken from the header line alone, whatever the rows are full of.
#[test]
fn the_header_decides_on_the_delimiter() {
    let rows = rows_of(Format::Csv, "external_id,label\na,;;;;;;\n");
    let row = rows[0].as_ref().expect("good");
    assert_eq!(row.label.as_deref(), Some(";;;;;;"));
    check("external_id\na;b\n", &[Ok("a;b")]);
    assert_eq!(
        refusal(Format::Csv, "\"external_id;x;y\",label\na,b\n"),
        "line 1: unknown column \"external_id;x;y\" in the header; known are external_id, label, metadata, chains"
    );
}

#[test]
fn all_fields_are_read() {
    let text = "external_id,label,metadata,chains\n\
                a,\"Zoë \"\"Z\"\"\n王\",\"{\"\"b\"\": 1.50, \"\"a\"\":[true,null]}\",evm;tron\n\
                b,,,\n\
                c,\"  \",\" \",\"[\"\"bitcoin-taproot\"\"]\"\n";
    let rows = rows_of(Format::Csv, text);
    let row = rows[0].as_ref().expect("good");
    assert_eq!(row.label.as_deref(), Some("Zoë \"Z\"\n王"));
    assert_eq!(
        row.metadata.as_deref(),
        Some(r#"{"a":[true,null],"b":1.50}"#)
    );
    assert_eq!(row.kinds, "evm,tron".parse().ok());
    let row = rows[1].as_ref().expect("good");
    assert_eq!(
        (&row.label, &row.metadata, &row.kinds),
        (&None, &None, &None)
    );
    let row = rows[2].as_ref().expect("good");
    assert_eq!((&row.label, &row.metadata), (&None, &None));
    assert_eq!(row.kinds, "bitcoin-taproot".parse().ok());
}

#[test]
fn a_bad_row_leaves_the_others_good() {
    check(
        "external_id,label,metadata,chains\n\
         a,,,\n\
         b,x\n\
         c,,,,\n\
         ,,,\n\
         d,,{},doge\n\
         e,,[1],\n\
         f,,\"{\"\"k\"\":1,\"\"k\"\":2}\",\n\
         g,,{bad},\n\
         h,\u{202e}evil,,\n\
         i,,,\"[1]\"\n\
         j,,,\" , \"\n\
         k,\"x\"y,,\n\
         l,,,evm\n",
        &[
            Ok("a"),
            Err((3, None, "wrong_field_count")),
            Err((4, None, "wrong_field_count")),
            Err((5, Some("external_id"), "external_id_missing")),
            Err((6, Some("chains"), "unknown_chain")),
            Err((7, Some("metadata"), "metadata_not_object")),
            Err((8, Some("metadata"), "duplicate_key")),
            Err((9, Some("metadata"), "invalid_json")),
            Err((10, Some("label"), "refused_character")),
            Err((11, Some("chains"), "chains_not_list")),
            Err((12, Some("chains"), "chains_empty")),
            Err((13, Some("label"), "stray_quote")),
            Ok("l"),
        ],
    );
}

#[test]
fn lines_are_those_of_the_file() {
    for end in ["\n", "\r\n", "\r"] {
        let text = [
            "",
            "external_id,label",
            "",
            "a,\"x",
            "",
            "y\"",
            "b",
            "\"c\",",
            "d",
        ]
        .join(end);
        check(
            text,
            &[
                Ok("a"),
                Err((7, None, "wrong_field_count")),
                Ok("c"),
                Err((9, None, "wrong_field_count")),
            ],
        );
    }
}

#[test]
fn a_fault_names_the_id_as_sent() {
    let rows = rows_of(Format::Csv, "external_id,label\ncust-1\n,x\n");
    let fault = rows[0].as_ref().expect_err("too few fields");
    assert_eq!(fault.external_id.as_deref(), Some("cust-1"));
    assert_eq!(fault.message, "the row has 1 fields, the header 2");
    let long = "é".repeat(5000);
    let rows = rows_of(Format::Csv, format!("external_id\n{long}\n"));
    let fault = rows[0].as_ref().expect_err("too long");
    assert_eq!(fault.code, "external_id_too_long");
    assert_eq!(fault.external_id.as_ref().map(String::len), Some(256));
}

/// F-054.
#[test]
fn text_that_is_no_utf8_is_a_fault_with_its_place() {
    let rows = rows_of(Format::Csv, b"external_id,label\na,caf\xe9\nb\xff,\nc,ok\n");
    let fault = rows[0].as_ref().expect_err("latin-1");
    assert_eq!(
        (
            fault.line,
            fault.column.as_deref(),
            fault.code,
            fault.message.as_str()
        ),
        (
            2,
            Some("label"),
            "invalid_utf8",
            "byte 4 of label is not UTF-8"
        )
    );
    let fault = rows[1].as_ref().expect_err("bad id");
    assert_eq!(fault.external_id.as_deref(), Some("b\u{fffd}"));
    assert!(rows[2].is_ok());
    // Over-long forms, surrogates, beyond U+10FFFF, a cut sequence.
    for bad in [
        &b"\xc0\xaf"[..],
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
    ] {
        let text = [b"external_id\nx", bad, b"\ny\n"].concat();
        check(
            text,
            &[Err((2, Some("external_id"), "invalid_utf8")), Ok("y")],
        );
    }
}

/// F-052. An id differing in case is another customer; one differing in form or space is not.
#[test]
fn a_repeated_id_names_its_first_row() {
    let text = "external_id\na\nA\n a\nJosé\nJose\u{301}\na\n";
    check(
        text,
        &[
            Ok("a"),
            Ok("A"),
            Err((4, Some("external_id"), "duplicate_external_id")),
            Ok("José"),
            Err((6, Some("external_id"), "duplicate_external_id")),
            Err((7, Some("external_id"), "duplicate_external_id")),
        ],
    );
    let rows = rows_of(Format::Csv, text);
    let fault = rows[4].as_ref().expect_err("repeated");
    assert_eq!(fault.message, "external_id is the same as in row 4");
    // A first row that makes no wallet does not take the id.
    check(
        "external_id,chains\na,doge\na,evm\na,evm\n",
        &[
            Err((2, Some("chains"), "unknown_chain")),
            Ok("a"),
            Err((4, Some("external_id"), "duplicate_external_id")),
        ],
    );
}

#[test]
fn a_wrong_header_refuses_the_file() {
    let refused = |text: &str, expected: &str| assert_eq!(refusal(Format::Csv, text), expected);
    refused(
        "external_id,e-mail\na,b\n",
        "line 1: unknown column \"e-mail\" in the header; known are external_id, label, metadata, chains",
    );
    refused(
        "\nexternal_id,\na,b\n",
        "line 2: unknown column \"\" in the header; known are external_id, label, metadata, chains",
    );
    refused(
        "external_id,label, Label\na,b,c\n",
        "line 1: the header names column \"label\" twice",
    );
    refused(
        "label\na\n",
        "the header (line 1) has no column \"external_id\"",
    );
    for empty in [
        "",
        "\u{feff}",
        "\n\r\n",
        "external_id\n",
        "external_id,label",
    ] {
        refused(empty, "the file has no rows");
    }
}

#[test]
fn a_quote_left_open_refuses_the_file() {
    let (result, _) = parse_with(
        &b"external_id,label\na,b\n\"c\nd\",\"oops\ne,f\n"[..],
        false,
        Format::Csv,
        &Limits::default(),
    );
    let error = result.expect_err("refused");
    assert_eq!(error.position(), Some((4, Some(4))));
    assert_eq!(
        error.to_string(),
        "line 4, column 4: a quote is opened here and never closed"
    );
}

#[test]
fn a_quotes_place_counts_from_its_own_line() {
    let place = |text: &[u8]| {
        let (result, _) = parse_with(text, false, Format::Csv, &Limits::default());
        result.expect_err("refused").position()
    };
    assert_eq!(place(b"external_id\r\n\"a"), Some((2, Some(1))));
    assert_eq!(place(b"external_id\ra\r\"b"), Some((3, Some(1))));
    assert_eq!(
        place(b"external_id,label\n\"a\r\n\",\"b"),
        Some((3, Some(3)))
    );
    // The CR before the closing quote and the LF behind the next are two line ends.
    assert_eq!(
        place(b"external_id,label\n\"a\r\",\"\nb\"\nc,\"d"),
        Some((5, Some(3)))
    );
}

#[test]
fn other_encodings_are_refused_by_name() {
    let wide = |text: &str, mark: &[u8]| {
        let units = text.encode_utf16().flat_map(u16::to_le_bytes);
        mark.iter().copied().chain(units).collect::<Vec<u8>>()
    };
    let refused = |text: &[u8], part: &str| {
        let message = refusal(Format::Csv, text);
        assert!(message.contains(part), "{message}");
    };
    refused(&wide("external_id\na\n", b"\xff\xfe"), "UTF-16");
    refused(&wide("external_id\na\n", b""), "UTF-16");
    refused(b"\xfe\xff\0e\0x", "UTF-16");
    refused(b"\0e\0x\0t", "UTF-16");
    refused(b"\xff\xfe\0\0e\0\0\0", "UTF-32");
    refused(b"\0\0\xfe\xff\0\0\0e", "UTF-32");
    refused(b"PK\x03\x04 and so on", "zip archive");
    refused(&gzipped(b"external_id\na\n"), "Content-Encoding");
}

/// Our tokenizer against the crate's, where the two promise the same.
#[test]
fn records_are_those_of_the_csv_crate() {
    let files: &[&[u8]] = &[
        b"a,b,c\n1,2,3\n",
        b"a,b\r\n\"\",\"\"\r\n,\r\n",
        b"first,address\nJohn,\"120 any st., x\"\n",
        b"a,b\n1,\"ha \"\"ha\"\" ha\"\n3,4\n",
        b"key,val\n1,\"{\"\"type\"\": \"\"Point\"\", \"\"at\"\": [102.0, 0.5]}\"\n",
        b"a,b\n\"Once upon \na time\",5\n\"\r\n\",\"\r\"\n",
        b"a,b\n1,\"ha\n\"\"ha\"\"\nha\"\n",
        "a,b\n1,ʤ\n\u{1f600},\"\u{2028}\"".as_bytes(),
        b"a\rb\rc",
        b"\"\"\"\",\"\"\"\"\"\"\n\",\",\"\n\"",
        b"a,\"b\"\n\n\n\"\",\nlast,",
    ];
    for file in files {
        let theirs: Vec<Vec<Vec<u8>>> = ::csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(*file)
            .byte_records()
            .map(|record| record.expect("memory").iter().map(<[u8]>::to_vec).collect())
            .collect();
        assert_eq!(records(file), theirs, "{:?}", String::from_utf8_lossy(file));
    }
}

pub(super) fn records(file: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut source = Source::open(file, false, &Limits::default()).expect("text");
    let mut records = crate::batches::parse::csv::Records::new(b',', 1 << 20, 64);
    let mut found = Vec::new();
    while records.next(&mut source).expect("well formed") {
        found.push(
            (0..records.count)
                .map(|i| records.field(i).to_vec())
                .collect(),
        );
    }
    found
}
