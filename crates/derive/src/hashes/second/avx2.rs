#![expect(unsafe_code, reason = "the compiler is to use AVX2 here")]

use super::Columns;

pub(super) fn run<C: Columns>(columns: C) {
    #[target_feature(enable = "avx2")]
    fn compiled<C: Columns>(columns: C) {
        columns.run();
    }
    let found = is_x86_feature_detected!("avx2");
    if !found {
        return columns.one_by_one();
    }
    // SAFETY: the processor was asked on the lines above.
    unsafe { compiled(columns) }
}
