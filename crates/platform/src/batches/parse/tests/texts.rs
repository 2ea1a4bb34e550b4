//! F-053, F-055: texts that break programs which do not expect them. Each is kept as it is or refused
//! with a code; the list is ours, in the manner of the big list of naughty strings.

use super::*;

const INERT: &[&str] = &[
    "undefined",
    "null",
    "NULL",
    "nil",
    "true",
    "NaN",
    "Infinity",
    "-0",
    "0x0",
    "1e309",
    "1/0",
    "hasOwnProperty",
    "then",
    "constructor",
    "__proto__",
    "__dict__",
    "COM1",
    "CON",
    "NUL",
    "LPT1",
    "aux.txt",
    "../../../etc/passwd",
    "..\\..\\windows",
    "C:\\con\\con",
    "/dev/null; touch /tmp/x",
    "`touch x`",
    "$(touch x)",
    "${jndi:ldap://127.0.0.1/a}",
    "{{7*7}}",
    "<%= 7*7 %>",
    "%s%s%s%n",
    "%00",
    "%0d%0aSet-Cookie:x=1",
    "$HOME",
    "'; DROP TABLE wallets;--",
    "1' OR '1'='1",
    "\\'; EXEC xp--",
    "' OR 1=1 -- 1",
    "1;SELECT pg_sleep(9)",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "\"><svg/onload=x>",
    "]]>",
    "<!--#exec cmd=\"ls\"-->",
    "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>",
    "=cmd|' /C calc'!A0",
    "=1+1",
    "+1",
    "-1",
    "@SUM(1)",
    "＝1+1",
    "＋1",
    "－1",
    "＠x",
    "=HYPERLINK(\"http://x\")",
    "田中さんにあげて下さい",
    "部落格",
    "사회과학원",
    "الكل في المجمو عة",
    "בְּרֵאשִׁית",
    "Ω≈ç√∫˜µ",
    "ГЕНЕРАЛ",
    "ıİſ",
    "ß ẞ",
    "😍",
    "👾 🙇 💁",
    "🇺🇸🇷🇺",
    "🏳",
    "0️⃣",
    "﷽",
    "ﬃ",
    "１２３",
    "٠١٢",
    "Z̮̞̠͙͔",
    "⒯⒣⒠",
    "𝕿𝖍𝖊",
    "ʇunpɐ",
    "ﾟ･✿ヾ",
    "‚‘‛",
    "¸˛Ç◊ı",
    "a\\b",
    "\\",
    "\\\\",
    "\\u0000",
    "\"",
    "\"\"",
    "'",
    "''",
    ",",
    ";",
    "|",
    "#",
    "--",
    "//",
    "a,b;c|d",
    "[]",
    "{}",
    "[{",
];

const REFUSED_ID: &[&str] = &[
    "a\u{0}b",
    "\u{202e}abc",
    "a\u{200b}b",
    "a\u{200d}b",
    "a\u{2028}b",
    "a\u{feff}b",
    "a\u{7}b",
    "a\u{85}b",
    "a\u{ad}b",
    "a\nb",
    "a\tb",
    "\u{2066}a",
    "a\u{e0041}b",
    "a\u{fffe}",
    "a\u{180e}b",
    "a\u{1b}[31mb",
    "a\u{7f}",
];

fn csv(id: &str) -> Row {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    for record in [["external_id", "label"], [id, id]] {
        writer.write_record(record).expect("memory takes all");
    }
    let text = writer.into_inner().expect("memory takes all");
    rows_of(Format::Csv, text).remove(0)
}

fn json(id: &str) -> Row {
    let object = serde_json::json!({"external_id": id, "label": id, "metadata": {"k": id}});
    let line = rows_of(Format::Ndjson, object.to_string()).remove(0);
    assert_eq!(rows_of(Format::Json, format!("[{object}]")).remove(0), line);
    line
}

#[test]
fn strange_texts_are_kept_as_they_are() {
    assert!(INERT.len() >= 95, "texts were lost: {}", INERT.len());
    for text in INERT {
        for row in [csv(text), json(text)] {
            let row = row.unwrap_or_else(|fault| panic!("{text:?}: {fault:?}"));
            assert_eq!(row.label.as_deref(), Some(*text));
            let plain = ExternalId::try_new(text).expect("inert");
            assert_eq!(row.external_id, plain);
            if let Some(metadata) = row.metadata {
                let back: serde_json::Value = serde_json::from_str(&metadata).expect("JSON");
                assert_eq!(back["k"], **text);
            }
        }
    }
}

#[test]
fn texts_that_deceive_the_eye_are_refused_as_ids() {
    for text in REFUSED_ID {
        for row in [csv(text), json(text)] {
            let fault = row.expect_err(text);
            assert_eq!(fault.code, "external_id_refused_character", "{text:?}");
            assert_eq!(fault.external_id.as_deref(), Some(*text));
        }
    }
}
