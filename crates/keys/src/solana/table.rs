//! Multiples of the base point: for window j the points 32ʲ·B, 2·32ʲ·B, … 16·32ʲ·B. Public.

use std::sync::OnceLock;

use super::point::{CURVE, Extended, Prepared};

/// Of five bits; enough for 252 bits and the sign that the last one may hand on.
pub(super) const WINDOWS: usize = 51;
pub(super) const ENTRIES: usize = 16;

/// For each of the 15 limbs of a prepared point (y + x, y − x, 2dxy) all entries side by side, so that
/// an entry is chosen within registers and no address depends on a secret.
pub(super) type Window = [[u64; ENTRIES]; 15];

/// 98 KiB, built in some milliseconds at first use.
pub(super) fn table() -> &'static [Window] {
    static TABLE: OnceLock<Vec<Window>> = OnceLock::new();
    TABLE.get_or_init(build)
}

fn build() -> Vec<Window> {
    let curve = &*CURVE;
    let mut base = curve.base;
    let mut table = Vec::with_capacity(WINDOWS);
    for _ in 0..WINDOWS {
        let step = base.prepared(curve);
        let mut multiple = Extended::IDENTITY;
        let mut window = [[0; ENTRIES]; 15];
        for entry in 0..ENTRIES {
            multiple = multiple.plus_prepared(&step);
            put(&mut window, entry, &multiple.to_affine().prepared(curve));
        }
        base = multiple.doubled(curve).to_affine();
        table.push(window);
    }
    table
}

fn put(window: &mut Window, entry: usize, point: &Prepared) {
    let limbs = [point.y_plus_x, point.y_minus_x, point.two_d_xy];
    for (row, limb) in window.iter_mut().zip(limbs.iter().flat_map(|f| f.0)) {
        row[entry] = limb;
    }
}
