use k256::Scalar;
use k256::elliptic_curve::Field as _;

/// Σ v·t of 64-bit coefficients and 256-bit scalars, as an integer: reduced once, at the end.
#[derive(Default)]
pub(super) struct Products {
    /// Σ v·t by words of t, the products' lower words and their upper ones apart: below 2⁹⁶ for 2³² terms.
    low: [u128; 4],
    high: [u128; 4],
    /// Σ t by words.
    scalars: [u128; 4],
    /// Σ v.
    coefficients: u128,
    count: u64,
}

impl Products {
    pub(super) fn add(&mut self, coefficient: u64, scalar: &[u64; 4]) {
        for (i, word) in scalar.iter().enumerate() {
            let product = u128::from(coefficient) * u128::from(*word);
            self.low[i] += product & u128::from(u64::MAX);
            self.high[i] += product >> 64;
            self.scalars[i] += u128::from(*word);
        }
        self.coefficients += u128::from(coefficient);
        self.count += 1;
    }

    /// Σ r·t of r = 2v + `less`.
    pub(super) fn of_scalars(&self, less: Scalar) -> Scalar {
        let radix = Scalar::from(1_u64 << 32).square();
        let products = modulo(&self.low) + modulo(&self.high) * radix;
        products.double() + modulo(&self.scalars) * less
    }

    /// Σ r of r = 2v + `less`.
    pub(super) fn of_ones(&self, less: Scalar) -> Scalar {
        Scalar::from(self.coefficients).double() + Scalar::from(self.count) * less
    }
}

/// Σ of the words times 2⁶⁴ to the power of their place, modulo the group order.
fn modulo(words: &[u128; 4]) -> Scalar {
    let radix = Scalar::from(1_u64 << 32).square();
    let sum = |sum: Scalar, word: &u128| sum * radix + Scalar::from(*word);
    words.iter().rev().fold(Scalar::ZERO, sum)
}
