//! What came of a chunk's rows: a wallet was created for each good row that is not named here.

use std::collections::HashMap;

use coffer_domain::id::{BatchId, WalletId};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::seal::{Fields, SealKeys, Sealable, refused};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outcome {
    /// Rows whose external id had a wallet before: row number and wallet.
    pub existing: Vec<(u32, String)>,
    /// Good rows that could not be worked on: row number and reason. The dead list.
    pub dead: Vec<(u32, String)>,
}

struct Stored<'a> {
    batch: BatchId,
    number: u32,
    text: &'a str,
}

impl Sealable for Stored<'_> {
    const TAG: &'static str = "chunk outcome v1";

    fn fields(&self, fields: &mut Fields) {
        fields
            .bytes(self.batch.as_bytes())
            .int(i64::from(self.number))
            .text(self.text);
    }
}

impl Outcome {
    pub(crate) fn to_stored(
        &self,
        seals: &SealKeys,
        batch: BatchId,
        number: u32,
    ) -> (String, [u8; 32]) {
        let text = serde_json::to_string(self).expect("numbers and strings have a JSON form");
        let seal = seals.seal_of(&Stored {
            batch,
            number,
            text: &text,
        });
        (text, seal)
    }

    pub(crate) fn open(
        seals: &SealKeys,
        batch: BatchId,
        number: u32,
        (text, seal): &(String, Vec<u8>),
    ) -> Result<Self, Error> {
        let broken = || refused(format!("the outcome of chunk {number} of {batch}"));
        if !seals.verifies(
            &Stored {
                batch,
                number,
                text,
            },
            seal,
        ) {
            return Err(broken());
        }
        serde_json::from_str(text).map_err(|_| broken())
    }

    pub(crate) fn existing_by_row(&self) -> Option<HashMap<u32, WalletId>> {
        self.existing
            .iter()
            .map(|(row, id)| Some((*row, id.parse().ok()?)))
            .collect()
    }
}
