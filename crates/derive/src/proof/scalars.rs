use k256::Scalar;
use k256::elliptic_curve::Field as _;
use k256::elliptic_curve::ops::Reduce;

/// Σ v·t of 64-bit coefficients and 256-bit scalars, as an integer: reduced once, at the end.
#[derive(Default)]
pub(super) struct Products {
    /// Σ v·t, lowest word first: below 2³⁵² for 2³² terms.
    products: [u64; 6],
    /// Σ t.
    scalars: [u64; 6],
    /// Σ v.
    coefficients: u128,
    count: u64,
}

impl Products {
    pub(super) fn add(&mut self, coefficient: u64, scalar: &[u64; 4]) {
        multiply_add(&mut self.products, coefficient, scalar);
        multiply_add(&mut self.scalars, 1, scalar);
        self.coefficients += u128::from(coefficient);
        self.count += 1;
    }

    /// Σ r·t of r = 2v + `less`.
    pub(super) fn of_scalars(&self, less: Scalar) -> Scalar {
        modulo(&self.products).double() + modulo(&self.scalars) * less
    }

    /// Σ r of r = 2v + `less`.
    pub(super) fn of_ones(&self, less: Scalar) -> Scalar {
        let sum = self.coefficients;
        let words = [sum as u64, (sum >> 64) as u64, 0, 0, 0, 0];
        modulo(&words).double() + Scalar::from(self.count) * less
    }
}

fn multiply_add(sum: &mut [u64; 6], factor: u64, words: &[u64; 4]) {
    let mut carry = 0;
    for (i, sum) in sum.iter_mut().enumerate() {
        let word = words.get(i).copied().unwrap_or(0);
        let wide = u128::from(factor) * u128::from(word) + u128::from(*sum) + carry;
        *sum = wide as u64;
        carry = wide >> 64;
    }
}

/// Modulo the group order.
fn modulo(words: &[u64; 6]) -> Scalar {
    let [a, b, c, d, e, f] = *words;
    let part = |words: [u64; 4]| {
        let bytes = crate::field::to_bytes(&words);
        <Scalar as Reduce<k256::FieldBytes>>::reduce(&bytes.into())
    };
    // 2²⁵⁶ does not fit, but twice 2¹²⁸ does.
    let half = part([0, 0, 1, 0]);
    part([a, b, c, d]) + part([e, f, 0, 0]) * half * half
}
