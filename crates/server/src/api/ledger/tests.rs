use coffer_domain::id::{LedgerAccountId, LedgerTransactionId};
use coffer_domain::ledger::{Balance, EntryPhase, Side, Source, SourceKind};
use coffer_platform::ledger::LedgerEntry;
use ruint::aliases::U256;

use super::statement::entry_row;

#[test]
fn a_statements_row_is_exact_and_no_formula() {
    let entry = LedgerEntry {
        account: LedgerAccountId::from_bytes([1; 16]),
        version: 3,
        transaction: LedgerTransactionId::from_bytes([2; 16]),
        source: Source {
            kind: SourceKind::Transfer,
            id: "=HYPERLINK(\"x\")".to_owned(),
        },
        side: Side::Debit,
        phase: EntryPhase::Posted,
        units: U256::MAX,
        balance: Balance {
            posted_credits: U256::MAX,
            ..Balance::default()
        },
        at_ms: 0,
    };
    let row = entry_row(&entry, None);
    assert_eq!(row.len(), 15);
    assert_eq!(row[4], "'=HYPERLINK(\"x\")");
    assert_eq!(row[7], U256::MAX.to_string());
    assert_eq!(
        (row[13].as_str(), row[14].as_str()),
        ("credit", row[7].as_str())
    );
}
