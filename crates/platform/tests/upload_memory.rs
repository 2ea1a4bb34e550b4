//! How much memory an upload takes, measured on the process: hence one test, alone in its file.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{self, Read};
use std::ops::ControlFlow;

use coffer_platform::batches::parse::{Format, Limits, Summary, UploadError, parse};

const MIB: u64 = 1 << 20;

/// The process's highest resident size so far, in bytes.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("Linux has it");
    let kib: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    kib * 1024
}

/// Writes rows as they are read.
struct Generated {
    row: u32,
    rows: u32,
    pending: Vec<u8>,
    at: usize,
}

impl Generated {
    fn new(rows: u32) -> Self {
        Self {
            row: 0,
            rows,
            pending: b"external_id,label,metadata\n".to_vec(),
            at: 0,
        }
    }
}

impl Read for Generated {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if self.at == self.pending.len() {
            if self.row == self.rows {
                return Ok(0);
            }
            self.row += 1;
            let row = self.row;
            self.pending =
                format!("customer-{row}@example.com,\"Name, {row}\",\"{{\"\"n\"\":{row}}}\"\n")
                    .into_bytes();
            self.at = 0;
        }
        let read = (&self.pending[self.at..]).read(space)?;
        self.at += read;
        Ok(read)
    }
}

fn count(reader: impl Read) -> (Result<Summary, UploadError>, u32) {
    let mut good = 0;
    let result = parse(
        reader,
        false,
        Format::Csv,
        &Limits::default(),
        &mut |_, row| {
            good += u32::from(row.is_ok());
            ControlFlow::Continue(())
        },
    );
    (result, good)
}

/// F-050: a million rows stay under 100 MiB, and a row of 100 MB adds no more than its limit.
#[test]
fn memory_stays_flat() {
    let warm = count(Generated::new(1)).1;
    assert_eq!(warm, 1);
    let before = peak_bytes();
    let (result, good) = count(Generated::new(1_000_000));
    assert_eq!((result.expect("good").rows, good), (1_000_000, 1_000_000));
    let million = peak_bytes() - before;
    assert!(million < 64 * MIB, "a million rows took {million} bytes");
    println!("a million rows: {} bytes a row", million / 1_000_000);

    // Larger than what the map above left free, if it leaked.
    let giant = (&b"external_id\n\""[..]).chain(io::repeat(b'x').take(100 * MIB));
    let (result, _) = count(giant);
    assert!(matches!(
        result,
        Err(UploadError::RowTooLong { line: 2, .. })
    ));
    let both = peak_bytes() - before;
    assert!(both < million + 8 * MIB, "a giant row took {both} bytes");
}
