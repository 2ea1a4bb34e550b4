//! F-048 to F-051: bombs, giants and cut wires. Memory is measured in `tests/upload_memory.rs`.

use flate2::read::GzEncoder as PackingReader;

use super::*;

const HEADER: &[u8] = b"external_id\n";

/// The header, then `bytes` of one letter.
fn endless(bytes: u64, letter: u8) -> impl Read {
    HEADER.chain(io::repeat(letter).take(bytes))
}

fn refused(reader: impl Read, gzip: bool, format: Format, limits: &Limits) -> UploadError {
    parse_with(reader, gzip, format, limits)
        .0
        .expect_err("refused")
}

/// F-048: 10 GiB behind 10 MB, never written anywhere: the reader packs as it is read.
#[test]
fn a_gzip_bomb_is_stopped_by_its_ratio() {
    let bomb = PackingReader::new(endless(10 << 30, b'\n'), Compression::best());
    let error = refused(bomb, true, Format::Csv, &Limits::default());
    assert!(matches!(error, UploadError::Bomb { limit: 200 }), "{error}");
    let spaces = PackingReader::new(io::repeat(b' ').take(10 << 30), Compression::best());
    let error = refused(spaces, true, Format::Json, &Limits::default());
    assert!(matches!(error, UploadError::Bomb { .. }), "{error}");
}

/// The ratio alone would let a bomb made to measure through: the size counts too.
#[test]
fn a_gzip_bomb_is_stopped_by_its_size() {
    let limits = Limits {
        max_ratio: u64::MAX,
        max_bytes: 8 << 20,
        ..Limits::default()
    };
    let bomb = PackingReader::new(endless(10 << 30, b'\n'), Compression::best());
    let error = refused(bomb, true, Format::Csv, &limits);
    assert!(matches!(error, UploadError::TooLarge { .. }), "{error}");
    let plain = refused(endless(10 << 30, b'\n'), false, Format::Csv, &limits);
    assert!(matches!(plain, UploadError::TooLarge { .. }), "{plain}");
}

#[test]
fn small_files_may_pack_well() {
    let mut text = HEADER.to_vec();
    text.resize(1 << 20, b'\n');
    text.push(b'a');
    text.truncate(1 << 20);
    text[(1 << 20) - 1] = b'a';
    let (summary, rows) = parse_with(&gzipped(&text)[..], true, Format::Csv, &Limits::default());
    assert_eq!((summary.expect("good").rows, rows.len()), (1, 1));
}

#[test]
fn gzip_inside_gzip_is_not_unpacked_twice() {
    let twice = gzipped(&gzipped(b"external_id\na\n"));
    let error = refused(&twice[..], true, Format::Csv, &Limits::default());
    assert!(
        matches!(error, UploadError::UnsupportedEncoding { .. }),
        "{error}"
    );
}

#[test]
fn damaged_gzip_is_told_from_a_broken_wire() {
    let whole = gzipped(b"external_id\na\nb\n");
    let members = [gzipped(b"external_id\na\n"), gzipped(b"b\n")].concat();
    let (summary, _) = parse_with(&members[..], true, Format::Csv, &Limits::default());
    assert_eq!(summary.expect("members are one file").rows, 2);
    let mut flipped = whole.clone();
    let checksum = flipped.len() - 6;
    flipped[checksum] ^= 1;
    let trailing = [&whole[..], b"junk"].concat();
    for bad in [&flipped[..], &trailing, b"external_id\na\n"] {
        let error = refused(bad, true, Format::Csv, &Limits::default());
        assert!(
            matches!(error, UploadError::DamagedGzip { .. } | UploadError::Io(_)),
            "{error}"
        );
    }
    for end in 0..whole.len() {
        let error = refused(&whole[..end], true, Format::Csv, &Limits::default());
        assert!(matches!(error, UploadError::Io(_)), "{end}: {error}");
    }
}

/// F-050.
#[test]
fn a_row_of_100_mb_is_refused() {
    let quoted = HEADER
        .chain(&b"ok\n\""[..])
        .chain(io::repeat(b'\n').take(100 << 20));
    let error = refused(quoted, false, Format::Csv, &Limits::default());
    assert!(
        matches!(error, UploadError::RowTooLong { line: 3, .. }),
        "{error}"
    );
    let plain = refused(
        endless(100 << 20, b'x'),
        false,
        Format::Csv,
        &Limits::default(),
    );
    assert!(
        matches!(plain, UploadError::RowTooLong { line: 2, .. }),
        "{plain}"
    );
    let header = io::repeat(b'x').take(100 << 20);
    let error = refused(header, false, Format::Csv, &Limits::default());
    assert!(
        matches!(error, UploadError::RowTooLong { line: 1, .. }),
        "{error}"
    );
    for (format, start) in [
        (Format::Ndjson, "{}\n{\"external_id\":\""),
        (Format::Json, "[{},\n{\"external_id\":\""),
        (Format::Json, "[{},\n{\"a\":"),
    ] {
        let long = start.as_bytes().chain(io::repeat(b'[').take(100 << 20));
        let error = refused(long, false, format, &Limits::default());
        assert!(
            matches!(error, UploadError::RowTooLong { line: 2, .. }),
            "{error}"
        );
    }
}

/// The limit falls at the same byte, however the bytes arrive.
#[test]
fn the_row_limit_is_exact() {
    let limits = Limits {
        max_row_bytes: 100,
        ..Limits::default()
    };
    for (length, fits) in [(99, true), (100, false)] {
        let text = format!("external_id\n{}\n", "x".repeat(length));
        let (whole, _) = parse_with(text.as_bytes(), false, Format::Csv, &limits);
        let (drops, _) = parse_with(Dripping::new(text.as_bytes()), false, Format::Csv, &limits);
        assert_eq!((whole.is_ok(), drops.is_ok()), (fits, fits), "{length}");
    }
}

#[test]
fn columns_are_bounded() {
    let names = vec!["external_id"; 100_000].join(",");
    let error = refused(names.as_bytes(), false, Format::Csv, &Limits::default());
    assert!(
        matches!(error, UploadError::RowTooLong { line: 1, .. }),
        "{error}"
    );
    let commas = ",".repeat(100_000);
    let error = refused(commas.as_bytes(), false, Format::Csv, &Limits::default());
    assert!(
        matches!(
            error,
            UploadError::TooManyColumns {
                found: 100_001,
                limit: 64
            }
        ),
        "{error}"
    );
    let million = io::repeat(b',').take(1_000_000);
    let error = refused(million, false, Format::Csv, &Limits::default());
    assert!(
        matches!(
            error,
            UploadError::TooManyColumns {
                found: 1_000_001,
                ..
            }
        ),
        "{error}"
    );
    let rows = rows_of(Format::Csv, format!("external_id\na{commas}\nb\n"));
    let fault = rows[0].as_ref().expect_err("too many fields");
    assert_eq!(fault.message, "the row has 100001 fields, the header 1");
    assert!(rows[1].is_ok());
}

#[test]
fn rows_are_bounded() {
    let limits = Limits {
        max_rows: 3,
        ..Limits::default()
    };
    let files = [
        (Format::Csv, "external_id\na\n,\n\nc\n", "d\n"),
        (Format::Ndjson, "{}\n{}\n\n{}\n", "{}\n"),
    ];
    for (format, three, fourth) in files {
        let (summary, _) = parse_with(three.as_bytes(), false, format, &limits);
        assert_eq!(summary.expect("three rows").rows, 3);
        let four = format!("{three}{fourth}");
        let error = refused(four.as_bytes(), false, format, &limits);
        assert!(
            matches!(error, UploadError::TooManyRows { limit: 3 }),
            "{error}"
        );
    }
    let error = refused(&b"[{},{},{},{}]"[..], false, Format::Json, &limits);
    assert!(
        matches!(error, UploadError::TooManyRows { limit: 3 }),
        "{error}"
    );
}

/// A reader whose wire breaks after some bytes.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.0.read(space)
    }
}

/// F-051: 200 places, spread by a fixed rule so that a failure can be repeated. The cut always
/// shows, and rows before it are those of the whole file.
#[test]
fn a_cut_upload_is_refused_wherever_it_is_cut() {
    let mut csv = String::from("external_id,label\n");
    let mut lines = String::new();
    for number in 0..500 {
        csv += &format!("cust-{number},\"Name, \"\"{number}\"\"\n王\"\n");
        lines +=
            &format!("{{\"external_id\":\"cust-{number}\",\"metadata\":{{\"n\":[{number}]}}}}\n");
    }
    let json = format!("[{}]", lines.trim_end().replace('\n', ","));
    let files = [
        (Format::Csv, csv),
        (Format::Ndjson, lines),
        (Format::Json, json),
    ];
    for (format, text) in &files {
        let whole = rows_of(*format, text);
        for (gzip, bytes) in [
            (false, text.as_bytes().to_vec()),
            (true, gzipped(text.as_bytes())),
        ] {
            let mut state = 0x9E37_79B9_7F4A_7C15_u64;
            for _ in 0..200 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let end = usize::try_from(state >> 33).expect("31 bits") % bytes.len();
                let cut = Broken(&bytes[..end]);
                let (result, rows) = parse_with(cut, gzip, *format, &Limits::default());
                assert!(
                    matches!(result, Err(UploadError::Io(_))),
                    "{format:?} {gzip} {end}"
                );
                assert!(whole.starts_with(&rows), "{format:?} {gzip} {end}");
            }
        }
    }
}
