use proptest::prelude::*;

use super::super::value::{read, write_canonical};
use super::*;

/// Text that an id or label may hold, with what CSV and JSON have to escape well represented.
fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            Just('"'),
            Just(','),
            Just(';'),
            Just('\\'),
            Just('\''),
            Just('é'),
            Just('王'),
            Just('😀'),
            Just(' '),
            prop::char::range('a', 'z'),
        ],
        0..12,
    )
    .prop_map(|chars| chars.into_iter().collect())
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        prop::num::f64::NORMAL.prop_map(Into::into),
        any::<String>().prop_map(|text| text.replace('\0', "").into()),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(text(), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_the_csv_crate_writes_is_read_back(
        labels in prop::collection::vec((text(), any::<bool>()), 1..40),
        delimiter in prop::sample::select(&[b',', b';', b'\t'][..]),
        crlf in any::<bool>(),
    ) {
        let mut writer = ::csv::WriterBuilder::new()
            .delimiter(delimiter)
            .terminator(if crlf { ::csv::Terminator::CRLF } else { ::csv::Terminator::Any(b'\n') })
            .from_writer(Vec::new());
        writer.write_record(["external_id", "label"]).expect("memory");
        let mut expected = Vec::new();
        for (number, (label, broken)) in labels.iter().enumerate() {
            let id = format!("{label}#{number}");
            let label = if *broken { format!("{label}\r\n{label}\n\r") } else { label.clone() };
            writer.write_record([&id, &label]).expect("memory");
            let kept = (!label.trim().is_empty()).then_some(label);
            expected.push((id.trim().to_owned(), kept));
        }
        let rows = rows_of(Format::Csv, writer.into_inner().expect("memory"));
        let found: Vec<_> = rows
            .into_iter()
            .map(|row| row.map(|row| (row.external_id.as_str().to_owned(), row.label)))
            .collect::<Result<_, _>>()
            .expect("all rows are good");
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn records_are_those_of_the_csv_crate(
        fields in prop::collection::vec(prop::collection::vec("[a\"\r\n,é]{0,6}", 1..5), 1..12),
    ) {
        let mut writer = ::csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
        for record in &fields {
            writer.write_record(record).expect("memory");
        }
        let file = writer.into_inner().expect("memory");
        let found = super::csv_files::records(&file);
        let expected: Vec<Vec<Vec<u8>>> = fields
            .iter()
            .map(|record| record.iter().map(|field| field.clone().into_bytes()).collect())
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300), gzip in any::<bool>()) {
        for format in Format::ALL {
            let _answered = parse_with(&bytes[..], gzip, format, &Limits::default());
        }
    }

    #[test]
    fn any_ascii_gets_the_same_answer_in_pieces(text in "[\\[\\]{}\",:ab1\\\\ \r\n;e.-]{0,60}") {
        for format in Format::ALL {
            let file = match format {
                Format::Csv => format!("external_id\n{text}"),
                _ => text.clone(),
            };
            let (one, rows) = parse_with(file.as_bytes(), false, format, &Limits::default());
            let (two, same) = parse_with(Dripping::new(file.as_bytes()), false, format, &Limits::default());
            prop_assert_eq!(rows, same);
            prop_assert_eq!(format!("{one:?}"), format!("{two:?}"));
        }
    }

    /// serde_json as the second opinion: the same texts are accepted.
    #[test]
    fn json_like_texts_get_the_second_readers_answer(text in "[\\[\\]{}\",:au0-9\\\\ \nnltrue.+E-]{0,24}") {
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        match read(text.as_bytes()) {
            Ok((_, None)) => prop_assert!(theirs.is_ok(), "{text:?}"),
            Ok((_, Some(_))) => {}
            Err(flaw) => prop_assert!(theirs.is_err(), "{text:?}: {flaw:?}"),
        }
    }

    /// The canonical text means the same, and is its own canonical text.
    #[test]
    fn canonical_text_keeps_the_meaning(value in json_value()) {
        let sent = serde_json::to_string_pretty(&value).expect("a value");
        let (read_value, flaw) = read(sent.as_bytes()).expect("well formed");
        prop_assert_eq!(flaw, None);
        let mut canonical = String::new();
        write_canonical(&read_value, &mut canonical).expect("nothing refused");
        // serde_json reads some floats one unit off, hence both texts go through it.
        let meant: serde_json::Value = serde_json::from_str(&sent).expect("well formed");
        let back: serde_json::Value = serde_json::from_str(&canonical).expect("well formed");
        prop_assert_eq!(back, meant);
        let mut again = String::new();
        write_canonical(&read(canonical.as_bytes()).expect("well formed").0, &mut again).expect("nothing refused");
        prop_assert_eq!(again, canonical);
    }
}
