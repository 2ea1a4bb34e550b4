//! The lines that are kept: sealed, paged, thinned.

use coffer_domain::reconciliation::ReconciliationState::{Drift, Matched};
use coffer_platform::{Error, ReconciliationFilter, Scope};
use coffer_testkit::Engine;

use super::chain::Change;
use super::site::Site;
use crate::scene::{colleague, on_both_engines};

on_both_engines!(
    edited_lines_and_differences_are_refused,
    old_matched_lines_are_thinned_to_one_an_hour,
    lines_come_by_pages_and_filters,
    another_organization_sees_nothing,
);

const HOUR_MS: i64 = 3_600_000;

async fn edited_lines_and_differences_are_refused(engine: Engine) {
    let site = Site::create(engine).await;
    let (_, address) = site.wallet("c1").await;
    site.chain
        .grow(&[Change::untold(site.coin.kind, address, 1)]);
    site.follow().await;
    assert_eq!(site.states().await, [Drift, Matched]);
    let (platform, admin) = (site.platform(), &site.installation.admin);
    let drift = site
        .stored()
        .await
        .into_iter()
        .find(|line| line.state == Drift);
    let id = drift.expect("kept").id;
    let show = || async { platform.reconciliation(admin, id).await };
    assert_eq!(show().await.expect("reads").1.len(), 1);
    let database = &site.installation.database;
    database
        .tamper("CREATE TABLE kept AS SELECT * FROM reconciliation_differences; DELETE FROM reconciliation_differences")
        .await;
    assert!(matches!(show().await, Err(Error::Integrity { .. })));
    database
        .tamper("INSERT INTO reconciliation_differences SELECT * FROM kept")
        .await;
    assert!(show().await.is_ok());
    database
        .tamper("UPDATE reconciliations SET state = 'matched' WHERE state = 'drift'")
        .await;
    assert!(matches!(show().await, Err(Error::Integrity { .. })));
    let listed = platform
        .reconciliations(admin, &ReconciliationFilter::default(), None, 10)
        .await;
    assert!(matches!(listed, Err(Error::Integrity { .. })), "{listed:?}");
}

async fn old_matched_lines_are_thinned_to_one_an_hour(engine: Engine) {
    let site = Site::create(engine).await;
    let (_, address) = site.wallet("c1").await;
    let clock = &site.installation.clock;
    // To the beginning of an hour, so that six rounds of ten minutes are one hour.
    clock.advance_ms(HOUR_MS - site.installation.clock_ms().rem_euclid(HOUR_MS));
    for round in 0..24 {
        let change = Change::untold(site.token.kind, address, i64::from(round == 3));
        site.chain.grow(&[change]);
        site.follow().await;
        site.reconcile().await.expect("a round").expect("a block");
        clock.advance_ms(HOUR_MS / 6);
    }
    let lines = site.stored().await;
    let of = |asset, state| {
        let wanted = lines
            .iter()
            .filter(|line| line.asset == asset && line.state == state);
        wanted.map(|line| line.finished_at_ms).collect::<Vec<_>>()
    };
    let matched = of(site.coin.id, Matched);
    // The last round ran at 3:50: all since 2:50, then the last of the two full hours before, and 2:40's own hour's.
    assert!((9..=10).contains(&matched.len()), "{matched:?}");
    assert!(matched.is_sorted_by(|newer, older| newer > older));
    assert!(
        !of(site.token.id, Drift).is_empty(),
        "a difference stays for ever"
    );
}

async fn lines_come_by_pages_and_filters(engine: Engine) {
    let site = Site::create(engine).await;
    site.wallet("c1").await;
    for _ in 0..3 {
        site.chain.grow(&[]);
        site.follow().await;
        site.reconcile().await.expect("a round").expect("a block");
    }
    let (platform, admin) = (site.platform(), &site.installation.admin);
    let filter = ReconciliationFilter {
        asset: Some(site.coin.id),
        network: Some(site.network.id),
        state: Some(Matched),
    };
    let mut heights = Vec::new();
    let mut before = None;
    for _ in 0..3 {
        let page = platform
            .reconciliations(admin, &filter, before, 1)
            .await
            .expect("reads");
        heights.extend(page.items.iter().map(|line| line.block.height.0));
        before = page.next;
    }
    assert_eq!(heights, [3, 2, 1]);
    let drifts = ReconciliationFilter {
        state: Some(Drift),
        ..filter
    };
    let none = platform.reconciliations(admin, &drifts, None, 9).await;
    assert!(none.expect("reads").items.is_empty());
}

async fn another_organization_sees_nothing(engine: Engine) {
    let site = Site::create(engine).await;
    site.wallet("c1").await;
    site.chain.grow(&[]);
    site.follow().await;
    site.reconcile().await.expect("a round").expect("a block");
    let platform = site.platform();
    let mut stranger = colleague(platform, &site.installation.admin, &[Scope::LedgerRead]).await;
    stranger.organization = coffer_domain::id::OrganizationId::from_bytes([9; 16]);
    let id = site.stored().await[0].id;
    let shown = platform.reconciliation(&stranger, id).await;
    assert!(matches!(shown, Err(Error::NotFound { .. })), "{shown:?}");
    let asked = platform.reconcile_now(&stranger, site.network.id).await;
    assert!(matches!(asked, Err(Error::NotFound { .. })), "{asked:?}");
}
