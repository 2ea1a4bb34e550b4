//! The first implementation: batches.

use crate::children::Points;
use crate::comb::{Comb, Start, Sums, affine};
use crate::field::{Affine, from_bytes, negate};
use crate::hashes::{ChildHmac, TapTweak, hash160, keccak20};
use crate::proof::{Claim, prove};
use crate::{
    Arch, Children, DeriveError, ExtendedPublicKey, IndexRange, Payloads, Scheme, VerifyError,
};

/// Keys that share one inversion. More gains little and presses on the second-level cache.
pub const LANES: usize = 2048;

/// Order of the group of secp256k1, big-endian ([SEC 2](https://www.secg.org/sec2-v2.pdf), 2.4.1).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

/// Derives batches of children; `Sync`, so one serves all threads.
pub struct Deriver {
    arch: Arch,
    comb: Comb,
    tap_tweak: TapTweak,
}

impl Default for Deriver {
    fn default() -> Self {
        Self::new()
    }
}

impl Deriver {
    /// Builds the table, for the best instructions this processor has.
    #[must_use]
    pub fn new() -> Self {
        Self::with_arch(Arch::detect())
    }

    /// Builds the table, for instructions that must be among [`Arch::available`].
    #[must_use]
    pub fn with_arch(arch: Arch) -> Self {
        assert!(Arch::available().contains(&arch), "{arch:?} is not here");
        Self {
            arch,
            comb: Comb::new(arch),
            tap_tweak: TapTweak::new(),
        }
    }

    /// Memory of the table.
    #[must_use]
    pub fn table_bytes(&self) -> usize {
        self.comb.table_bytes()
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
        out.reset(scheme.payload_len(), indexes.count() as usize);
        let mut children = Children::new();
        for part in indexes.parts(LANES as u32) {
            let result = self
                .children(parent, part, &mut children)
                .and_then(|()| self.append(&mut children, scheme, out));
            if result.is_err() {
                out.reset(scheme.payload_len(), 0);
                return result;
            }
        }
        Ok(())
    }

    /// Fills `out` with the public keys of all indexes. On an error it is left empty.
    pub fn children(
        &self,
        parent: &ExtendedPublicKey,
        indexes: IndexRange,
        out: &mut Children,
    ) -> Result<(), DeriveError> {
        out.reset(indexes);
        let start = affine(&parent.point()?).ok_or(DeriveError::NotAPublicKey)?;
        out.tweaks.resize(indexes.count() as usize, [0; 32]);
        ChildHmac::new(parent).tweaks(self.arch, indexes.first(), &mut out.tweaks);
        let sums = self.add_scalars(Start::Same(start), &out.tweaks, &mut out.keys);
        sums.map_err(|lane| out.invalid(lane))
    }

    /// Fills `out` with one payload for each child, in order. On an error both are left empty.
    ///
    /// For [`Scheme::Taproot`] the children get their output keys.
    pub fn payloads_of(
        &self,
        children: &mut Children,
        scheme: Scheme,
        out: &mut Payloads,
    ) -> Result<(), DeriveError> {
        out.reset(scheme.payload_len(), children.len());
        let result = self.append(children, scheme, out);
        if result.is_err() {
            out.reset(scheme.payload_len(), 0);
        }
        result
    }

    fn append(
        &self,
        children: &mut Children,
        scheme: Scheme,
        out: &mut Payloads,
    ) -> Result<(), DeriveError> {
        match scheme {
            Scheme::Keccak20 => {
                let keys = &children.keys;
                keccak20(self.arch, &keys.xs, &keys.ys, out.more(keys.xs.len()));
            }
            Scheme::Hash160 => {
                let keys = &children.keys;
                let y_odd: Vec<_> = keys.ys.iter().map(|y| y[31] & 1 == 1).collect();
                hash160(self.arch, &keys.xs, &y_odd, out.more(y_odd.len()));
            }
            Scheme::Taproot => {
                self.tweak_for_taproot(children)
                    .map_err(|lane| children.invalid(lane))?;
                let xs = children.outputs.xs.as_flattened();
                out.more(children.len()).copy_from_slice(xs);
            }
        }
        Ok(())
    }

    /// Proves that `children` are those of `parent` at `indexes` and `payloads` theirs: a second implementation
    /// of every step, at a fraction of the time of deriving. See the module `proof`.
    ///
    /// `randomness` must be drawn after the children were derived, and be new in each call.
    pub fn prove(
        &self,
        parent: &ExtendedPublicKey,
        indexes: IndexRange,
        children: &Children,
        payloads: &[(Scheme, &Payloads)],
        randomness: &[u8; 32],
    ) -> Result<(), VerifyError> {
        let claim = Claim {
            parent,
            indexes,
            payloads,
        };
        prove(&self.comb, children, &claim, randomness)
    }

    fn add_scalars(
        &self,
        start: Start<'_>,
        scalars: &[[u8; 32]],
        out: &mut Points,
    ) -> Result<(), usize> {
        if let Some(lane) = scalars.iter().position(|scalar| *scalar >= ORDER) {
            return Err(lane);
        }
        out.resize(scalars.len());
        let (xs, ys) = (&mut out.xs, &mut out.ys);
        let sums = Sums {
            start,
            scalars,
            xs,
            ys,
        };
        self.comb.add_multiples(sums, LANES)
    }

    /// Child keys → output keys of [BIP-86](https://github.com/bitcoin/bips/blob/master/bip-0086.mediawiki).
    fn tweak_for_taproot(&self, children: &mut Children) -> Result<(), usize> {
        let xs = &children.keys.xs;
        let mut tweaks = vec![[0; 32]; xs.len()];
        self.tap_tweak.of(self.arch, xs, &mut tweaks);
        let internal_keys: Vec<_> = children.keys.iter().map(lift).collect();
        self.add_scalars(Start::Each(&internal_keys), &tweaks, &mut children.outputs)
    }
}

/// The point of even y with this x.
fn lift((x, y): (&[u8; 32], &[u8; 32])) -> Affine {
    let (x, y) = (from_bytes(x), from_bytes(y));
    let y = if y[0] & 1 == 1 { negate(&y) } else { y };
    Affine { x, y }
}

#[cfg(test)]
mod tests;
