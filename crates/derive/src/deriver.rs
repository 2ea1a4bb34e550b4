//! The first implementation: batches.

use crate::comb::{Comb, Lanes, Point};
use crate::hashes::{ChildHmac, TapTweak, hash160, keccak20};
use crate::{Arch, DeriveError, ExtendedPublicKey, IndexRange, Payloads, Scheme};

/// Keys that share one inversion. More gains little and presses on the second-level cache.
pub const LANES: usize = 1024;

/// Order of the group of secp256k1, big-endian ([SEC 2](https://www.secg.org/sec2-v2.pdf), 2.4.1).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

/// Derives batches of children; `Sync`, so one serves all threads.
pub struct Deriver {
    comb: Comb,
    tap_tweak: TapTweak,
}

impl Default for Deriver {
    fn default() -> Self {
        Self::new()
    }
}

impl Deriver {
    /// Builds the table.
    #[must_use]
    pub fn new() -> Self {
        Self {
            comb: Comb::new(),
            tap_tweak: TapTweak::new(),
        }
    }

    /// Fills `out` with one payload for each index, in order. On an error `out` is left empty.
    ///
    /// `parent` is the key whose children are the addresses: that of `m/…/a'/0`, not of the account.
    pub fn payloads(
        &self,
        parent: &ExtendedPublicKey,
        scheme: Scheme,
        indexes: IndexRange,
        out: &mut Payloads,
    ) -> Result<(), DeriveError> {
        let len = scheme.payload_len();
        out.reset(len, indexes.count() as usize);
        let start = Point::from_affine(&parent.point()?).ok_or(DeriveError::NotAPublicKey)?;
        let hmac = ChildHmac::new(parent);
        let mut lanes = Lanes::default();
        let mut done = 0;
        while done < indexes.count() {
            let first = indexes.first() + done;
            let count = (indexes.count() - done).min(LANES as u32);
            let result = self
                .children(start, &hmac, first..first + count, &mut lanes)
                .and_then(|()| self.emit(scheme, &mut lanes, out))
                .map_err(|lane| DeriveError::InvalidChild {
                    index: first + lane as u32,
                });
            if result.is_err() {
                out.reset(len, 0);
                return result;
            }
            done += count;
        }
        Ok(())
    }

    /// Leaves the child keys in the lanes; the error is a lane.
    fn children(
        &self,
        start: Point,
        hmac: &ChildHmac,
        indexes: std::ops::Range<u32>,
        lanes: &mut Lanes,
    ) -> Result<(), usize> {
        lanes.points.clear();
        lanes.points.resize(indexes.len(), start);
        lanes.scalars.resize(indexes.len(), [0; 32]);
        hmac.tweaks(Arch::detect(), indexes.start, &mut lanes.scalars);
        self.add_scalars(lanes)
    }

    fn add_scalars(&self, lanes: &mut Lanes) -> Result<(), usize> {
        if let Some(lane) = lanes.scalars.iter().position(|scalar| *scalar >= ORDER) {
            return Err(lane);
        }
        self.comb.add_multiples(lanes)
    }

    fn emit(&self, scheme: Scheme, lanes: &mut Lanes, out: &mut Payloads) -> Result<(), usize> {
        if scheme == Scheme::Taproot {
            self.tweak_for_taproot(lanes)?;
            lanes.points.iter().for_each(|p| out.push(&p.x.to_bytes()));
            return Ok(());
        }
        let arch = Arch::detect();
        let xs: Vec<[u8; 32]> = lanes.points.iter().map(|p| p.x.to_bytes().into()).collect();
        let mut hashes = vec![0; 20 * xs.len()];
        if scheme == Scheme::Keccak20 {
            let ys: Vec<_> = lanes.points.iter().map(|p| p.y.to_bytes().into()).collect();
            keccak20(arch, &xs, &ys, &mut hashes);
        } else {
            let odd = lanes.points.iter().map(|p| p.y.normalize().is_odd().into());
            hash160(arch, &xs, &odd.collect::<Vec<_>>(), &mut hashes);
        }
        hashes
            .chunks_exact(20)
            .for_each(|payload| out.push(payload));
        Ok(())
    }

    /// Child keys → output keys of [BIP-86](https://github.com/bitcoin/bips/blob/master/bip-0086.mediawiki).
    fn tweak_for_taproot(&self, lanes: &mut Lanes) -> Result<(), usize> {
        for point in &mut lanes.points {
            // The internal key is the point of even y with this x.
            let y = point.y.normalize();
            if bool::from(y.is_odd()) {
                point.y = (-y).normalize_weak();
            }
        }
        let xs: Vec<[u8; 32]> = lanes.points.iter().map(|p| p.x.to_bytes().into()).collect();
        lanes.scalars.resize(xs.len(), [0; 32]);
        self.tap_tweak.of(Arch::detect(), &xs, &mut lanes.scalars);
        self.add_scalars(lanes)
    }
}

#[cfg(test)]
mod tests;
