use super::*;

const ORGANIZATION: [u8; 16] = [7; 16];

/// A sound chain of `length` records, hashed as the contract says, by code of its own.
fn sound(length: u64) -> Vec<Record> {
    let mut prev = [0_u8; 32];
    (1..=length)
        .map(|seq| {
            let (actor, action) = ("key_1".to_owned(), "wallet.create".to_owned());
            let (object, payload) = (format!("wal_{seq}"), format!("{{\"row\":{seq}}}"));
            let at = 1_700_000_000_000 + i64::try_from(seq).expect("small");
            let mut bytes = b"coffer audit v1".to_vec();
            bytes.extend(ORGANIZATION);
            bytes.extend(seq.to_be_bytes());
            bytes.extend(at.to_be_bytes());
            for text in [&actor, &action, &object, &payload] {
                bytes.extend(u32::try_from(text.len()).expect("short").to_be_bytes());
                bytes.extend(text.as_bytes());
            }
            bytes.extend(prev);
            let hash: [u8; 32] = Sha256::digest(&bytes).into();
            let record = Record {
                seq,
                at,
                actor,
                action,
                object,
                payload,
                prev_hash: hex::encode(prev),
                hash: hex::encode(hash),
            };
            prev = hash;
            record
        })
        .collect()
}

fn verify(records: &[Record]) -> Result<u64, Break> {
    let mut chain = Chain::new(ORGANIZATION);
    records.iter().try_for_each(|record| chain.take(record))?;
    Ok(chain.seq)
}

fn check(tamper: impl FnOnce(&mut Vec<Record>), seq: u64, reason: Reason) {
    let mut records = sound(10);
    tamper(&mut records);
    assert_eq!(verify(&records), Err(Break { seq, reason }));
}

#[test]
fn a_sound_chain_is_proven_to_its_end() {
    assert_eq!(verify(&sound(10)), Ok(10));
    assert_eq!(verify(&[]), Ok(0));
}

/// Worked out once with Python's hashlib from the contract's words, not with this code.
#[test]
fn the_hash_is_the_contracts() {
    let record = Record {
        seq: 1,
        at: 1_763_830_800_000,
        actor: "key_a".to_owned(),
        action: "batch.accept".to_owned(),
        object: "bat_b".to_owned(),
        payload: "{\"rows\":3,\"name\":\"\u{674e}\"}".to_owned(),
        prev_hash: "00".repeat(32),
        hash: "71cd5edb5bc4044d061a0571d8dfddac0323225cc84239c62265ce8ee42bde68".to_owned(),
    };
    assert_eq!(verify(&[record]), Ok(1));
}

#[test]
fn an_edit_of_any_field_is_found_where_it_is() {
    check(|records| records[4].at += 1, 5, Reason::Edited);
    check(|records| records[4].actor.push('x'), 5, Reason::Edited);
    check(|records| records[4].action.clear(), 5, Reason::Edited);
    check(
        |records| records[4].object = "wal_6".into(),
        5,
        Reason::Edited,
    );
    check(
        |records| records[4].payload = "{\"row\": 5}".into(),
        5,
        Reason::Edited,
    );
    check(
        |records| records[0].hash = "00".repeat(32),
        1,
        Reason::Edited,
    );
    check(
        |records| records[9].hash = "not hexadecimal".into(),
        10,
        Reason::Edited,
    );
}

#[test]
fn moving_a_character_over_a_fields_border_is_an_edit() {
    let tamper = |records: &mut Vec<Record>| {
        records[4].actor = "key_".into();
        records[4].action = "1wallet.create".into();
    };
    check(tamper, 5, Reason::Edited);
}

#[test]
fn an_edit_with_its_hash_made_anew_breaks_the_next_link() {
    let tamper = |records: &mut Vec<Record>| {
        records[4].object = "wal_666".into();
        let mut chain = Chain::new(ORGANIZATION);
        records[..4]
            .iter()
            .try_for_each(|record| chain.take(record))
            .expect("sound so far");
        records[4].hash = hex::encode(chain.hash_of(&records[4]));
    };
    check(tamper, 6, Reason::NotLinked);
}

#[test]
fn removal_reordering_and_copies_are_found() {
    check(
        |records| drop(records.remove(4)),
        5,
        Reason::OutOfOrder { found: 6 },
    );
    check(
        |records| drop(records.remove(0)),
        1,
        Reason::OutOfOrder { found: 2 },
    );
    check(
        |records| records.swap(3, 4),
        4,
        Reason::OutOfOrder { found: 5 },
    );
    check(
        |records| records.insert(4, records[3].clone()),
        5,
        Reason::OutOfOrder { found: 4 },
    );
    let renumbered = |records: &mut Vec<Record>| {
        records.remove(4);
        for (place, record) in records.iter_mut().enumerate() {
            record.seq = place as u64 + 1;
        }
    };
    check(renumbered, 5, Reason::NotLinked);
}

#[test]
fn another_organizations_chain_is_not_this_one() {
    let mut chain = Chain::new([8; 16]);
    let broken = chain
        .take(&sound(1)[0])
        .expect_err("not of this organization");
    assert_eq!(broken.reason, Reason::Edited);
}

#[test]
fn ids_and_hashes_are_read_strictly() {
    assert_eq!(
        parse_organization(&format!("org_{}", "07".repeat(16))),
        Some(ORGANIZATION)
    );
    for bad in [
        "",
        "org_",
        "org_07",
        &"07".repeat(16),
        &format!("vlt_{}", "07".repeat(16)),
    ] {
        assert_eq!(parse_organization(bad), None, "{bad}");
    }
    assert_eq!(parse_hash(&"0".repeat(63)), None);
    assert_eq!(parse_hash(&"00".repeat(33)), None);
}
