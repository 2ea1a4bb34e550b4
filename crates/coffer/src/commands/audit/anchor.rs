//! Anchors: what a file kept apart from the database remembers of the chain.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;

use super::chain::{Break, Chain, Reason, parse_hash};
use crate::error::Failure;

const LINE_LIMIT_BYTES: u64 = 64 << 10;

#[derive(Deserialize)]
struct Line {
    organization_id: String,
    seq: u64,
    hash: String,
}

/// Of one organization, by number; 40 bytes each.
pub(crate) struct Anchors {
    points: Vec<(u64, [u8; 32])>,
    checked: usize,
}

/// Why an anchor file proves nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnchorError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("line {0} is not an anchor")]
    NotAnAnchor(usize),
    #[error("it has no anchor of {0}")]
    NoneOfOrganization(String),
}

impl Anchors {
    pub(crate) fn none() -> Self {
        Self {
            points: Vec::new(),
            checked: 0,
        }
    }

    /// A file that cannot be read whole is as good as an anchor that does not fit: it proves nothing.
    pub(crate) fn open(file: &Path, organization_id: &str) -> Result<Self, Failure> {
        let opened =
            std::fs::File::open(file).map_err(|error| Failure::file("read", file, &error))?;
        Self::read(&mut BufReader::new(opened), organization_id).map_err(|error| {
            Failure::integrity(
                format!("the anchor file {} proves nothing: {error}", file.display()),
                "take the anchor file from the place where its copies are kept",
            )
            .with("reason", "unusable_anchor")
        })
    }

    fn read(lines: &mut impl BufRead, organization_id: &str) -> Result<Self, AnchorError> {
        let mut points = Vec::new();
        for number in 1.. {
            let mut text = Vec::new();
            if lines.take(LINE_LIMIT_BYTES).read_until(b'\n', &mut text)? == 0 {
                break;
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            let line: Line =
                serde_json::from_slice(&text).map_err(|_| AnchorError::NotAnAnchor(number))?;
            let hash = parse_hash(&line.hash).ok_or(AnchorError::NotAnAnchor(number))?;
            if line.organization_id == organization_id {
                points.push((line.seq, hash));
            }
        }
        if points.is_empty() {
            return Err(AnchorError::NoneOfOrganization(organization_id.to_owned()));
        }
        points.sort_unstable();
        points.dedup();
        Ok(Self { points, checked: 0 })
    }

    pub(crate) fn len(&self) -> usize {
        self.points.len()
    }

    /// Numbers and hashes, in the order of the numbers.
    pub(crate) fn points(&self) -> &[(u64, [u8; 32])] {
        &self.points
    }

    /// Called after each record, in order.
    pub(crate) fn check(&mut self, chain: &Chain) -> Result<(), Break> {
        while let Some((seq, hash)) = self.points.get(self.checked) {
            if *seq > chain.seq {
                return Ok(());
            }
            if *seq != chain.seq || *hash != chain.hash {
                return Err(Break {
                    seq: *seq,
                    reason: Reason::OtherThanAnchored,
                });
            }
            self.checked += 1;
        }
        Ok(())
    }

    /// Called at the end of the chain: an anchor beyond it says that there was more.
    pub(crate) fn finish(&self, chain: &Chain) -> Result<(), Break> {
        match self.points.get(self.checked) {
            None => Ok(()),
            Some(_) => Err(Break {
                seq: chain.seq + 1,
                reason: Reason::CutTail,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(seq: u64) -> Chain {
        let mut chain = Chain::new([7; 16]);
        chain.seq = seq;
        chain.hash = [u8::try_from(seq).expect("small"); 32];
        chain
    }

    fn line(organization: &str, seq: u64, byte: u8) -> String {
        let hash = hex::encode([byte; 32]);
        format!(
            "{{\"organization_id\":\"{organization}\",\"seq\":{seq},\"hash\":\"{hash}\",\"at\":1}}\n"
        )
    }

    fn read(text: &str) -> Result<Anchors, AnchorError> {
        Anchors::read(&mut text.as_bytes(), "org_a")
    }

    /// The chain's records 1..=10, checked one by one.
    fn verify(text: &str) -> Result<(), Break> {
        let mut anchors = read(text).expect("anchors");
        anchors.check(&chain(0))?;
        (1..=10).try_for_each(|seq| anchors.check(&chain(seq)))?;
        anchors.finish(&chain(10))
    }

    #[test]
    fn every_line_of_the_organization_counts() {
        let other = line("org_b", 99, 1);
        assert_eq!(
            verify(&format!(
                "{}{other}{}",
                line("org_a", 3, 3),
                line("org_a", 10, 10)
            )),
            Ok(())
        );
        // The order of lines does not matter, nor does a repetition.
        assert_eq!(
            verify(&format!(
                "{0}{1}{0}\n",
                line("org_a", 9, 9),
                line("org_a", 2, 2)
            )),
            Ok(())
        );
        assert_eq!(
            verify(&format!(
                "{}{}",
                line("org_a", 3, 77),
                line("org_a", 10, 10)
            )),
            Err(Break {
                seq: 3,
                reason: Reason::OtherThanAnchored
            })
        );
    }

    #[test]
    fn two_anchors_that_disagree_cannot_both_hold() {
        let broken = verify(&format!("{}{}", line("org_a", 5, 5), line("org_a", 5, 6)));
        assert_eq!(
            broken,
            Err(Break {
                seq: 5,
                reason: Reason::OtherThanAnchored
            })
        );
    }

    #[test]
    fn a_cut_tail_is_found() {
        let broken = verify(&line("org_a", 12, 12));
        assert_eq!(
            broken,
            Err(Break {
                seq: 11,
                reason: Reason::CutTail
            })
        );
    }

    #[test]
    fn a_file_that_proves_nothing_is_refused() {
        assert!(matches!(read(""), Err(AnchorError::NoneOfOrganization(_))));
        assert!(matches!(
            read(&line("org_b", 1, 1)),
            Err(AnchorError::NoneOfOrganization(_))
        ));
        let half = format!(
            "{}{{\"organization_id\":\"org_a\",\"se",
            line("org_a", 1, 1)
        );
        assert!(matches!(read(&half), Err(AnchorError::NotAnAnchor(2))));
        assert!(matches!(
            read("{\"organization_id\":\"org_a\",\"seq\":1,\"hash\":\"00\"}"),
            Err(AnchorError::NotAnAnchor(1))
        ));
        let endless = "x".repeat(200_000);
        assert!(matches!(read(&endless), Err(AnchorError::NotAnAnchor(1))));
    }
}
