use super::*;

fn key(byte: u8) -> ApiKeyId {
    ApiKeyId::from_bytes([byte; 16])
}

fn settings() -> NetworkSettings {
    let node = |number: u8| NodeUrl {
        rpc: format!("http://node-{number}"),
        websocket: None,
    };
    NetworkSettings {
        name: "test".to_owned(),
        nodes: vec![node(1), node(2), node(3)],
        quorum: 2,
        confirmations: NonZeroU32::new(3).expect("not zero"),
        finality: Finality::Depth(NonZeroU32::new(64).expect("not zero")),
        start_height: 0,
        genesis: None,
        poll_interval_ms: 1000,
    }
}

fn network(state: NetworkState, resume_by: Option<ApiKeyId>) -> Network {
    let chain: ChainId = "eip155:31337".parse().expect("a chain");
    let organization = OrganizationId::from_bytes([1; 16]);
    Network {
        id: NetworkId::of(organization, &chain),
        organization,
        chain,
        settings: settings(),
        state,
        reason: (state != NetworkState::Active).then(|| "before".to_owned()),
        resume_by,
        created_at_ms: 0,
        version: 1,
    }
}

/// Every state (a frozen one without and with a first person) with every event.
#[test]
fn every_state_takes_or_refuses_every_event() {
    use NetworkEvent::{Freeze, Pause, Resume};
    use NetworkState::{Active, Frozen, Paused};
    type Left =
        Result<(NetworkState, Option<ApiKeyId>, Option<&'static str>), NetworkTransitionError>;
    let refused = |state| Err(NetworkTransitionError::State(state));
    let (one, two) = (Some(key(1)), Some(key(2)));
    let resume = |by| Resume { by: key(by) };
    let table: [((NetworkState, Option<ApiKeyId>), NetworkEvent, Left); 16] = [
        ((Active, None), Pause, Ok((Paused, None, Some("now")))),
        ((Active, None), Freeze, Ok((Frozen, None, Some("now")))),
        ((Active, None), resume(1), refused(Active)),
        ((Active, None), resume(2), refused(Active)),
        ((Paused, None), Pause, refused(Paused)),
        ((Paused, None), Freeze, Ok((Frozen, None, Some("now")))),
        ((Paused, None), resume(1), Ok((Active, None, None))),
        ((Paused, None), resume(2), Ok((Active, None, None))),
        ((Frozen, None), Pause, refused(Frozen)),
        ((Frozen, None), Freeze, Ok((Frozen, None, Some("before")))),
        ((Frozen, None), resume(1), Ok((Frozen, one, Some("before")))),
        ((Frozen, None), resume(2), Ok((Frozen, two, Some("before")))),
        ((Frozen, one), Pause, refused(Frozen)),
        ((Frozen, one), Freeze, Ok((Frozen, None, Some("before")))),
        (
            (Frozen, one),
            resume(1),
            Err(NetworkTransitionError::SamePerson),
        ),
        ((Frozen, one), resume(2), Ok((Active, None, None))),
    ];
    for ((state, resume_by), event, expected) in table {
        let found = network(state, resume_by).apply(event, Some("now".to_owned()));
        let shown = format!("{state} {resume_by:?} {event:?}");
        match (found, expected) {
            (Ok(after), Ok((state, resume_by, reason))) => {
                assert_eq!(after.state, state, "{shown}");
                assert_eq!(after.resume_by, resume_by, "{shown}");
                assert_eq!(after.reason.as_deref(), reason, "{shown}");
                assert_eq!(after.version, 2, "{shown}");
            }
            (Err(found), Err(expected)) => assert_eq!(found, expected, "{shown}"),
            (found, expected) => panic!("{shown}: {found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn two_answers_can_never_both_have_a_quorum() {
    let check = |nodes: usize, quorum: u32, good: bool| {
        let settings = NetworkSettings {
            nodes: (0..nodes)
                .map(|number| NodeUrl {
                    rpc: format!("http://node-{number}"),
                    websocket: None,
                })
                .collect(),
            quorum,
            ..settings()
        };
        assert_eq!(settings.check().is_ok(), good, "{quorum} of {nodes}");
    };
    check(1, 0, false);
    check(1, 1, true);
    check(2, 1, false);
    check(2, 2, true);
    check(3, 1, false);
    check(3, 2, true);
    check(3, 4, false);
    check(4, 2, false);
    check(4, 3, true);
    check(3, u32::MAX, false);
}

#[test]
fn the_other_settings_are_checked() {
    let check = |change: &dyn Fn(&mut NetworkSettings), expected: SettingsError| {
        let mut changed = settings();
        change(&mut changed);
        assert_eq!(changed.check(), Err(expected));
    };
    assert_eq!(settings().check(), Ok(()));
    check(&|s| s.nodes.clear(), SettingsError::NoNodes);
    check(
        &|s| s.nodes[2] = s.nodes[0].clone(),
        SettingsError::SameNode("http://node-1".to_owned()),
    );
    check(
        &|s| s.confirmations = NonZeroU32::new(65).expect("not zero"),
        SettingsError::FinalityBeforeCredit { confirmations: 65 },
    );
    check(&|s| s.poll_interval_ms = 49, SettingsError::PollInterval);
    check(
        &|s| s.poll_interval_ms = 600_001,
        SettingsError::PollInterval,
    );
}

#[test]
fn places_for_secrets_are_found_and_others_refused() {
    assert_eq!(secret_names("http://a/b"), Ok(vec![]));
    assert_eq!(
        secret_names("http://a/{secret:one}?k={secret:t-w_0}"),
        Ok(vec!["one", "t-w_0"])
    );
    let long = format!("{{secret:{}}}", "a".repeat(65));
    for text in [
        "{",
        "}",
        "{}",
        "{secret}",
        "{secret:}",
        "{secret:A}",
        "{secret:../x}",
        "{secret:a.b}",
        "{secret:a",
        "a}{secret:a}",
        "{{secret:a}}",
        "{Secret:a}",
        long.as_str(),
    ] {
        assert_eq!(secret_names(text), Err(SecretNameError), "{text}");
    }
}

#[test]
fn the_same_chain_is_another_network_for_another_organization() {
    let chain: ChainId = "eip155:1".parse().expect("a chain");
    let other: ChainId = "eip155:10".parse().expect("a chain");
    let (one, two) = ([1; 16], [2; 16]);
    let id = |organization, chain| NetworkId::of(OrganizationId::from_bytes(organization), chain);
    assert_eq!(id(one, &chain), id(one, &chain));
    assert_ne!(id(one, &chain), id(two, &chain));
    assert_ne!(id(one, &chain), id(one, &other));
}
