use serde_json::json;

use super::*;

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    Sha256::digest(parts.concat()).into()
}

fn id(prefix: &str, byte: u8) -> String {
    format!("{prefix}{}", hex::encode([byte; 16]))
}

fn birth(index: u32) -> Birth {
    Birth {
        wallet_id: id("wal_", u8::try_from(index).expect("small")),
        organization_id: id("org_", 7),
        vault_id: id("vlt_", 8),
        index,
        external_id: format!("customer-{index}"),
        label: index.is_multiple_of(2).then(|| "a label".to_owned()),
        metadata: Some(r#"{"a":1}"#.to_owned()),
        kinds: 1,
        payloads_sha256: hex::encode(hash(&[&[u8::try_from(index).expect("small"); 20]])),
        batch_id: None,
        created_by: id("key_", 9),
        created_at: 1000,
    }
}

fn record(seq: u64, prev: [u8; 32], payload: &str) -> Record {
    let texts = ["key_1", "wallets.created", "vlt_1", payload];
    let mut content = b"coffer audit v1".to_vec();
    content.extend([7; 16]);
    content.extend(seq.to_be_bytes());
    content.extend(5_i64.to_be_bytes());
    for text in texts {
        content.extend(u32::try_from(text.len()).expect("short").to_be_bytes());
        content.extend(text.as_bytes());
    }
    Record {
        seq,
        at: 5,
        actor: texts[0].to_owned(),
        action: texts[1].to_owned(),
        object: texts[2].to_owned(),
        payload: payload.to_owned(),
        prev_hash: hex::encode(prev),
        hash: hex::encode(hash(&[&content, &prev])),
    }
}

/// Wallets 4, 5 and 9, made by record 3; the proof is that of 9. Records 4 and 5 follow.
fn sound() -> ProofFile {
    let leaves = [4, 5, 9].map(|index| birth(index).leaf().expect("well formed"));
    let left = node(&leaves[0], &leaves[1]);
    let root = hex::encode(node(&left, &leaves[2]));
    let created = json!({ "vault": id("vlt_", 8), "runs": [[4, 2], [9, 1]], "births_root": root });
    let payload = json!({ "changes": { "created": created }, "data": {} }).to_string();
    let own = record(3, [1; 32], &payload);
    let fourth = record(4, parse_hash(&own.hash).expect("a hash"), "{}");
    let fifth = record(5, parse_hash(&fourth.hash).expect("a hash"), "{}");
    ProofFile {
        format: FORMAT.to_owned(),
        proof: Proof {
            birth: birth(9),
            addresses: vec![Address {
                chain: "evm".to_owned(),
                address: "0x0909090909090909090909090909090909090909".to_owned(),
                payload: hex::encode([9; 20]),
            }],
            leaf_hash: hex::encode(leaves[2]),
            leaf_index: 2,
            tree_size: 3,
            path: vec![hex::encode(left)],
            record: own,
        },
        later_records: vec![fourth, fifth],
    }
}

fn point(file: &ProofFile, seq: u64) -> (u64, [u8; 32]) {
    let all = [&file.proof.record].into_iter().chain(&file.later_records);
    let record = all.into_iter().find(|record| record.seq == seq);
    (
        seq,
        parse_hash(&record.expect("is there").hash).expect("a hash"),
    )
}

#[test]
fn a_sound_proof_leads_to_every_anchor_from_its_record_on() {
    let file = sound();
    for seq in 3..=5 {
        assert_eq!(file.leads_to(&[point(&file, seq)]), Ok(seq));
    }
    // Older ones say nothing, later ones than the proof reaches are left out.
    let mixed = [(1, [0; 32]), point(&file, 4), (90, [0; 32])];
    assert_eq!(file.leads_to(&mixed), Ok(4));
}

#[test]
fn an_anchor_that_does_not_fit_proves_nothing() {
    let file = sound();
    let check = |points: &[(u64, [u8; 32])], fault| {
        assert_eq!(file.leads_to(points), Err(fault));
    };
    check(&[], Fault::AnchorTooOld);
    check(&[(2, [1; 32])], Fault::AnchorTooOld);
    check(&[(6, [1; 32])], Fault::EndsBeforeAnchor);
    check(&[(4, [1; 32])], Fault::OtherThanAnchored);
    check(&[(3, [1; 32]), point(&file, 5)], Fault::OtherThanAnchored);
}

type Edit = fn(&mut ProofFile);

#[test]
fn whatever_is_edited_is_found() {
    let cases: [(Edit, Fault); 14] = [
        (|file| file.format.push('x'), Fault::Format),
        (|file| file.proof.birth.external_id.push('x'), Fault::Leaf),
        (
            |file| file.proof.birth.label = Some(String::new()),
            Fault::Leaf,
        ),
        (|file| file.proof.birth.created_at += 1, Fault::Leaf),
        (
            |file| file.proof.birth.batch_id = Some(id("bat_", 1)),
            Fault::Leaf,
        ),
        (
            |file| file.proof.birth.wallet_id = id("wal_", 3),
            Fault::Leaf,
        ),
        (
            |file| {
                file.proof.addresses[0].address =
                    "0x0808080808080808080808080808080808080808".to_owned()
            },
            Fault::Addresses,
        ),
        (
            |file| file.proof.addresses[0].payload = hex::encode([8; 20]),
            Fault::Addresses,
        ),
        (|file| file.proof.leaf_index = 1, Fault::OtherRecord),
        (|file| file.proof.tree_size = 4, Fault::OtherRecord),
        (
            |file| file.proof.path[0] = hex::encode([1; 32]),
            Fault::Root,
        ),
        (|file| file.proof.path.clear(), Fault::Root),
        (|file| file.proof.record.at += 1, Fault::RecordHash),
        (|file| drop(file.later_records.remove(0)), Fault::Unlinked),
    ];
    for (number, (edit, fault)) in cases.into_iter().enumerate() {
        let mut file = sound();
        let anchor = point(&file, 5);
        edit(&mut file);
        assert_eq!(file.leads_to(&[anchor]), Err(fault), "case {number}");
    }
}

/// A wallet that was given a leaf by a forger has no place in the record.
#[test]
fn another_wallet_with_a_leaf_of_its_own_does_not_reach_the_root() {
    let mut file = sound();
    let anchor = point(&file, 5);
    file.proof.birth.external_id = "mallory".to_owned();
    file.proof.leaf_hash = hex::encode(file.proof.birth.leaf().expect("well formed"));
    assert_eq!(file.leads_to(&[anchor]), Err(Fault::Root));
    let payload = file.proof.record.payload.replace("births_root", "other");
    file.proof.record = record(3, [1; 32], &payload);
    assert_eq!(file.leads_to(&[anchor]), Err(Fault::OtherRecord));
}
