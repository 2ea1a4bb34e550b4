//! Which instructions this processor has; chosen once, at run time.

/// A way to compute the same thing. Each wider one is tested for equal results with [`Self::Portable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arch {
    /// Plain Rust, on every machine.
    Portable,
    /// x86-64 with AVX2, BMI1 and BMI2: 4 lanes of 64 bits, and products of 32 bits.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ, VL and IFMA: 8 lanes of 64 bits, and products of 52 bits.
    Ifma,
}

impl Arch {
    /// The widest that this processor has.
    #[must_use]
    pub fn detect() -> Self {
        *Self::available()
            .last()
            .expect("plain Rust runs everywhere")
    }

    /// All that this processor has, the widest last.
    #[must_use]
    pub fn available() -> &'static [Self] {
        #[cfg(target_arch = "x86_64")]
        {
            let ifma = std::is_x86_feature_detected!("avx512f")
                && std::is_x86_feature_detected!("avx512bw")
                && std::is_x86_feature_detected!("avx512dq")
                && std::is_x86_feature_detected!("avx512vl")
                && std::is_x86_feature_detected!("avx512ifma");
            let avx2 = std::is_x86_feature_detected!("avx2")
                && std::is_x86_feature_detected!("bmi1")
                && std::is_x86_feature_detected!("bmi2");
            match (avx2, ifma) {
                (true, true) => &[Self::Portable, Self::Avx2, Self::Ifma],
                (true, false) => &[Self::Portable, Self::Avx2],
                (false, _) => &[Self::Portable],
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        &[Self::Portable]
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Ifma => "ifma",
        }
    }
}
