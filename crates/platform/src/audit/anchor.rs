//! The anchor: each chain's head, written outside the database, so that a cut tail is found.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use coffer_domain::id::OrganizationId;
use serde::{Deserialize, Serialize};

/// A record that a chain must contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    pub organization: OrganizationId,
    pub seq: u64,
    pub hash: [u8; 32],
    pub at_ms: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    organization_id: String,
    seq: u64,
    hash: String,
    at: i64,
}

/// A file with one JSON line per organization, replaced as a whole.
#[derive(Debug, Clone)]
pub struct AnchorFile(PathBuf);

impl AnchorFile {
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file that is not there is empty; one that cannot be read is an error, not an empty one.
    pub fn read(&self) -> io::Result<Vec<Anchor>> {
        let text = match fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        text.lines()
            .enumerate()
            .map(|(number, line)| parse(line).ok_or_else(|| self.bad_line(number + 1)))
            .collect()
    }

    fn bad_line(&self, number: usize) -> io::Error {
        let place = self.0.display();
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{place}: line {number} is not an anchor"),
        )
    }

    /// Writes beside, syncs, renames: a crash leaves the old file or the new one.
    pub fn write(&self, anchors: &[Anchor]) -> io::Result<()> {
        // Several processes of one installation may write at once; each has its own file to rename.
        let beside = self
            .0
            .with_extension(format!("anchor.{}", std::process::id()));
        let mut file = File::create(&beside)?;
        for anchor in anchors {
            let line = Line {
                organization_id: anchor.organization.to_string(),
                seq: anchor.seq,
                hash: hex::encode(anchor.hash),
                at: anchor.at_ms,
            };
            serde_json::to_writer(&mut file, &line)?;
            file.write_all(b"\n")?;
        }
        file.sync_all()?;
        if coffer_failpoint::hit("audit.anchor.before_rename", "")
            == coffer_failpoint::Outcome::Fail
        {
            return Err(io::Error::other("failpoint"));
        }
        fs::rename(&beside, &self.0)?;
        self.0
            .parent()
            .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}

fn parse(line: &str) -> Option<Anchor> {
    let line: Line = serde_json::from_str(line).ok()?;
    Some(Anchor {
        organization: line.organization_id.parse().ok()?,
        seq: line.seq,
        hash: hex::decode(line.hash).ok()?.try_into().ok()?,
        at_ms: line.at,
    })
}
