#![expect(unsafe_code, reason = "the compiler is to use AVX-512 here")]

use super::Columns;

pub(super) fn run<C: Columns>(columns: C) {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn compiled<C: Columns>(columns: C) {
        columns.run();
    }
    let found = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    if !found {
        return columns.one_by_one();
    }
    // SAFETY: the processor was asked on the lines above.
    unsafe { compiled(columns) }
}
