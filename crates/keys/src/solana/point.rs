//! Points of edwards25519 ([RFC 8032](https://www.rfc-editor.org/rfc/rfc8032)) for public values only: the
//! table and the proof. The addition formulas are complete, so no case is special.

use std::sync::LazyLock;

use super::field::Field;

/// By its coordinates; whether they satisfy the curve's equation is for the caller to know.
#[derive(Clone, Copy)]
pub(super) struct Affine {
    pub(super) x: Field,
    pub(super) y: Field,
}

/// What an affine point is added as.
#[derive(Clone, Copy)]
pub(super) struct Prepared {
    pub(super) y_plus_x: Field,
    pub(super) y_minus_x: Field,
    pub(super) two_d_xy: Field,
}

/// x = X/Z, y = Y/Z, xy = T/Z.
#[derive(Clone, Copy)]
pub(super) struct Extended {
    x: Field,
    y: Field,
    z: Field,
    t: Field,
}

pub(super) struct Curve {
    pub(super) d: Field,
    two_d: Field,
    pub(super) base: Affine,
}

/// The x of the base point, little-endian (RFC 8032, section 5.1).
const BASE_X: [u8; 32] = [
    0x1a, 0xd5, 0x25, 0x8f, 0x60, 0x2d, 0x56, 0xc9, 0xb2, 0xa7, 0x25, 0x95, 0x60, 0xc7, 0x2c, 0x69,
    0x5c, 0xdc, 0xd6, 0xfd, 0x31, 0xe2, 0xa4, 0xc0, 0xfe, 0x53, 0x6e, 0xcd, 0xd3, 0x36, 0x69, 0x21,
];

pub(super) static CURVE: LazyLock<Curve> = LazyLock::new(|| {
    let d = Field::small(121_665)
        .negated()
        .times(Field::small(121_666).inverted());
    Curve {
        d,
        two_d: d.plus(d),
        base: Affine {
            x: Field::from_canonical(&BASE_X).expect("below the modulus"),
            y: Field::small(4).times(Field::small(5).inverted()),
        },
    }
});

impl Affine {
    pub(super) fn is_on_curve(self, d: Field) -> bool {
        let (xx, yy) = (self.x.squared(), self.y.squared());
        yy.minus(xx).is(Field::ONE.plus(d.times(xx).times(yy)))
    }

    /// For a point on the curve, where neither denominator of the doubling is zero because d is not a square.
    pub(super) fn doubles_to(self, double: Self) -> bool {
        let (xx, yy) = (self.x.squared(), self.y.squared());
        let (difference, sum) = (yy.minus(xx), yy.plus(xx));
        let xy = self.x.times(self.y);
        double.x.times(difference).is(xy.plus(xy))
            && double
                .y
                .times(Field::ONE.plus(Field::ONE).minus(difference))
                .is(sum)
    }

    /// RFC 8032, section 5.1.2.
    pub(super) fn encoded(self) -> [u8; 32] {
        let mut bytes = self.y.to_bytes();
        bytes[31] |= self.x.to_bytes()[0] << 7;
        bytes
    }

    #[inline]
    pub(super) fn prepared(self, curve: &Curve) -> Prepared {
        Prepared {
            y_plus_x: self.y.plus(self.x),
            y_minus_x: self.y.minus(self.x),
            two_d_xy: self.x.times(self.y).times(curve.two_d),
        }
    }
}

impl Prepared {
    #[inline]
    pub(super) fn negated(self) -> Self {
        Self {
            y_plus_x: self.y_minus_x,
            y_minus_x: self.y_plus_x,
            two_d_xy: self.two_d_xy.negated(),
        }
    }
}

impl Extended {
    pub(super) const IDENTITY: Self = Self {
        x: Field::ZERO,
        y: Field::ONE,
        z: Field::ONE,
        t: Field::ZERO,
    };

    #[inline]
    pub(super) fn plus_prepared(&self, other: &Prepared) -> Self {
        let a = self.y.minus(self.x).times(other.y_minus_x);
        let b = self.y.plus(self.x).times(other.y_plus_x);
        let c = self.t.times(other.two_d_xy);
        Self::from_halves(a, b, c, self.z.plus(self.z))
    }

    #[inline]
    pub(super) fn plus(&self, other: &Self, curve: &Curve) -> Self {
        let a = self.y.minus(self.x).times(other.y.minus(other.x));
        let b = self.y.plus(self.x).times(other.y.plus(other.x));
        let c = self.t.times(other.t).times(curve.two_d);
        let zz = self.z.times(other.z);
        Self::from_halves(a, b, c, zz.plus(zz))
    }

    #[inline(always)]
    fn from_halves(a: Field, b: Field, c: Field, d: Field) -> Self {
        let (e, f, g, h) = (b.minus(a), d.minus(c), d.plus(c), b.plus(a));
        Self {
            x: e.times(f),
            y: g.times(h),
            z: f.times(g),
            t: e.times(h),
        }
    }

    pub(super) fn doubled(&self, curve: &Curve) -> Self {
        self.plus(self, curve)
    }

    pub(super) fn to_affine(self) -> Affine {
        let inverse = self.z.inverted();
        Affine {
            x: self.x.times(inverse),
            y: self.y.times(inverse),
        }
    }
}
