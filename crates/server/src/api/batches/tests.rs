use coffer_domain::address::AddressKinds;
use coffer_domain::batch::OnError;
use coffer_domain::id::{ApiKeyId, BatchId, OrganizationId, VaultId};

use super::*;

fn batch(state: BatchState, done: u32, started_at_ms: Option<i64>) -> Batch {
    Batch {
        id: BatchId::new_v7(1, [0; 10]),
        organization: OrganizationId::new_v7(1, [0; 10]),
        vault: VaultId::of_key(&[1; 32], 0),
        state,
        kinds: AddressKinds::ALL,
        on_error: OnError::Skip,
        first_index: 7,
        rows_total: 1000,
        rows_created: done,
        rows_existing: 0,
        rows_failed: 0,
        chunks_total: 1,
        chunks_done: 0,
        content_sha256: [0; 32],
        created_by: ApiKeyId::new_v7(1, [0; 10]),
        created_at_ms: 0,
        started_at_ms,
        finished_at_ms: None,
    }
}

fn check(batch: &Batch, rate: Option<f64>, eta: Option<f64>) {
    let view = BatchView::of(batch, 3000);
    assert_eq!((view.rows_per_second, view.eta_seconds), (rate, eta));
}

#[test]
fn an_eta_is_told_only_when_there_is_a_rate_and_somebody_works() {
    check(&batch(BatchState::Accepted, 0, None), None, None);
    check(&batch(BatchState::Running, 0, Some(1000)), None, None);
    check(
        &batch(BatchState::Running, 200, Some(1000)),
        Some(100.0),
        Some(8.0),
    );
    check(
        &batch(BatchState::Paused, 200, Some(1000)),
        Some(100.0),
        None,
    );
    // A clock that was set back must not give a negative rate.
    check(
        &batch(BatchState::Running, 2, Some(9000)),
        Some(2000.0),
        Some(0.499),
    );
}
