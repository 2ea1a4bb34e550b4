use coffer_domain::address::{AddressKind, AddressPayload, BitcoinNetwork};
use coffer_domain::external_id::ExternalId;
use coffer_domain::id::{ApiKeyId, OrganizationId, VaultId, WalletId};
use coffer_domain::vault::{Gate, Tier, VaultState};

use super::*;

fn vault() -> Vault {
    Vault {
        id: VaultId::of_key(&[1; 32], 3),
        organization: OrganizationId::new_v7(1, [0; 10]),
        name: "main".into(),
        tier: Tier::Hot,
        account: 3,
        bitcoin_network: BitcoinNetwork::Regtest,
        state: VaultState::Open,
        gate: Gate::AUTOMATIC,
        attestation_public_key: [1; 32],
        next_index: 8,
        created_at_ms: 0,
        drilled_at_ms: Some(0),
        version: 1,
    }
}

fn wallet(state: WalletState) -> Wallet {
    let vault = vault();
    let payload = |kind| AddressPayload::try_new(kind, &[7; 20]).expect("20 bytes");
    Wallet {
        id: WalletId::of_index(vault.id, 7),
        organization: vault.organization,
        vault: vault.id,
        index: 7,
        external_id: ExternalId::try_new("顾客-7").expect("valid"),
        label: None,
        metadata: Some("{\"a\":[1e3]}".into()),
        state,
        reason: None,
        payloads: vec![
            payload(AddressKind::Evm),
            payload(AddressKind::BitcoinP2wpkh),
        ],
        batch: None,
        created_by: ApiKeyId::new_v7(1, [0; 10]),
        created_at_ms: 0,
        version: 1,
    }
}

fn json(state: WalletState) -> serde_json::Value {
    serde_json::to_value(WalletView::of(&wallet(state), &vault())).expect("JSON")
}

#[test]
fn addresses_are_shown_in_the_vaults_network_and_account() {
    let json = json(WalletState::Active);
    let addresses = json["addresses"].as_array().expect("a list");
    assert_eq!(addresses[0]["path"], "m/44'/60'/3'/0/7");
    assert_eq!(addresses[1]["chain"], "bitcoin");
    assert_eq!(addresses[1]["path"], "m/84'/1'/3'/0/7");
    assert!(
        addresses[1]["address"]
            .as_str()
            .is_some_and(|text| text.starts_with("bcrt1q"))
    );
    assert!(json.get("existing").is_none());
    assert_eq!(json["metadata"]["a"][0], 1000.0);
}

#[test]
fn a_wallet_that_is_not_active_shows_no_address() {
    for state in [WalletState::Pending, WalletState::Rejected] {
        let json = json(state);
        assert_eq!(json["addresses"], serde_json::json!([]));
        assert!(!json.to_string().contains("0x"));
    }
}
