#![expect(
    unsafe_code,
    reason = "wide instructions may be executed only where the processor has them"
)]

use super::{Portable, Work};

/// Runs `work` on [`Portable`] elements with the instructions of a processor that has AVX2.
///
/// Its vectors multiply 32 bits, of which a product of elements takes 100 for the scalar unit's 25 of 64 bits, so
/// by count they promise little; a field of four lanes was not tried. MULX came with AVX2 and leaves the carries
/// alone.
#[inline]
pub(crate) fn run<W: Work>(work: W) -> W::Output {
    #[target_feature(enable = "avx2,bmi1,bmi2,adx")]
    fn inner<W: Work>(work: W) -> W::Output {
        work.run::<Portable>()
    }
    if !std::is_x86_feature_detected!("bmi2") || !std::is_x86_feature_detected!("adx") {
        return work.run::<Portable>();
    }
    assert!(crate::Arch::available().contains(&crate::Arch::Avx2));
    // SAFETY: the lines above.
    unsafe { inner(work) }
}
