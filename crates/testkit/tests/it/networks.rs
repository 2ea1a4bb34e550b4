//! Networks and assets: what is refused, what two people decide, and rows that were changed behind our back.

use std::num::NonZeroU32;
use std::sync::Arc;

use coffer_domain::address::{AddressKind, AddressPayload};
use coffer_domain::asset::{Asset, AssetState};
use coffer_domain::block::BlockHash;
use coffer_domain::id::{AssetId, NetworkId};
use coffer_domain::network::{Finality, Network, NetworkSettings, NetworkState, NodeUrl};
use coffer_platform::{
    AddedAsset, Answer, AssetChange, AssetFilter, Error, NewAsset, NewNetwork, Once, Platform,
    Scope,
};
use coffer_testkit::{DoubleSource, Engine, Installation};
use ruint::aliases::U256;

use crate::scene::{colleague, on_both_engines};

on_both_engines!(
    a_network_keeps_its_chain_and_genesis,
    what_believes_more_easily_is_recorded_under_its_own_name,
    a_frozen_network_takes_two_people,
    a_token_is_what_its_contract_says,
    a_second_call_with_the_same_key_has_no_second_effect,
    changed_rows_are_refused,
    hidden_and_swapped_rows_are_refused,
);

const GENESIS: BlockHash = BlockHash([7; 32]);
const OTHER: BlockHash = BlockHash([8; 32]);
const CONTRACT: &str = "0x6B175474E89094C44Da98b954EedeAC495271d0F";

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

fn settings() -> NetworkSettings {
    let node = |host: &str| NodeUrl {
        rpc: format!("https://{host}.example/{{secret:{host}}}"),
        websocket: None,
    };
    NetworkSettings {
        name: "Test".to_owned(),
        nodes: vec![node("one"), node("two"), node("three")],
        quorum: 2,
        confirmations: number(3),
        finality: Finality::Depth(number(64)),
        start_height: 5,
        genesis: None,
        poll_interval_ms: 1000,
    }
}

fn new_network(chain: &str) -> NewNetwork {
    NewNetwork {
        chain: chain.parse().expect("a chain"),
        settings: settings(),
    }
}

fn token(decimals: u8) -> NewAsset {
    NewAsset {
        name: format!("eip155:1/erc20:{CONTRACT}")
            .parse()
            .expect("a name"),
        symbol: "DAI".to_owned(),
        decimals,
        deposit_units_min: U256::from(5),
    }
}

fn contract() -> AddressPayload {
    let bytes = hex::decode(&CONTRACT[2..]).expect("hexadecimal");
    AddressPayload::try_new(AddressKind::Evm, &bytes).expect("20 bytes")
}

fn executed<T>(answer: Answer<T>) -> T {
    match answer {
        Answer::Executed(value) => value,
        Answer::Replayed { body, .. } => panic!("replayed: {body}"),
    }
}

struct Scene {
    installation: Installation,
    nodes: DoubleSource,
    network: Network,
}

impl Scene {
    async fn new(engine: Engine) -> Self {
        let nodes = DoubleSource::new(GENESIS);
        nodes.set_contract(contract(), 18, Some("DAI"));
        let installation = Installation::create_with(engine, Arc::new(nodes.clone())).await;
        let network = installation
            .platform
            .add_network(&installation.admin, new_network("eip155:1"), None)
            .await
            .expect("is added");
        Self {
            installation,
            nodes,
            network: executed(network),
        }
    }

    fn platform(&self) -> &Platform {
        &self.installation.platform
    }

    async fn set(&self, settings: NetworkSettings) -> Result<Network, Error> {
        let admin = &self.installation.admin;
        self.platform()
            .set_network(admin, self.network.id, settings)
            .await
    }

    async fn add_asset(&self, new: NewAsset) -> Result<AddedAsset, Error> {
        let admin = &self.installation.admin;
        self.platform()
            .add_asset(admin, self.network.id, new, None)
            .await
            .map(executed)
    }

    async fn actions(&self) -> Vec<String> {
        let admin = &self.installation.admin;
        let records = self.platform().audit_records(admin, 0, 1000).await;
        let records = records.expect("reads").into_iter();
        records.map(|record| record.action).collect()
    }
}

fn field(result: Result<impl std::fmt::Debug, Error>) -> &'static str {
    match result {
        Err(Error::Validation { field, .. }) => field,
        other => panic!("not refused by a field: {other:?}"),
    }
}

async fn a_network_keeps_its_chain_and_genesis(engine: Engine) {
    let scene = Scene::new(engine).await;
    assert_eq!(scene.network.settings.genesis, Some(GENESIS));
    let admin = &scene.installation.admin;
    let add = async |new| scene.platform().add_network(admin, new, None).await;
    assert!(matches!(
        add(new_network("eip155:1")).await,
        Err(Error::StateConflict(_))
    ));
    assert_eq!(field(add(new_network("cosmos:hub")).await), "chain");
    let mut given = new_network("eip155:10");
    given.settings.genesis = Some(OTHER);
    assert_eq!(field(add(given).await), "genesis");
    scene.nodes.set_genesis(None);
    assert!(matches!(
        add(new_network("eip155:10")).await,
        Err(Error::Nodes(_))
    ));
    assert_eq!(
        scene.platform().networks(admin).await.expect("reads").len(),
        1
    );

    let changed = |change: &dyn Fn(&mut NetworkSettings)| {
        let mut changed = settings();
        change(&mut changed);
        changed
    };
    scene.nodes.set_genesis(Some(OTHER));
    let genesis = changed(&|s| s.genesis = Some(OTHER));
    assert_eq!(field(scene.set(genesis).await), "genesis");
    let elsewhere = changed(&|s| s.nodes[0].rpc = "https://four.example".to_owned());
    assert_eq!(field(scene.set(elsewhere.clone()).await), "genesis");
    scene.nodes.set_genesis(Some(GENESIS));
    let set = scene.set(elsewhere).await.expect("is set");
    assert_eq!((set.version, set.settings.genesis), (2, Some(GENESIS)));
    // Nothing was taken yet, so the first block may still be chosen.
    let later = changed(&|s| s.start_height = 9);
    assert_eq!(scene.set(later).await.expect("is set").version, 3);
    let reopened = scene.installation.reopen().await;
    let read = reopened
        .network(admin, scene.network.id)
        .await
        .expect("reads");
    assert_eq!(read.settings.start_height, 9);
}

async fn what_believes_more_easily_is_recorded_under_its_own_name(engine: Engine) {
    let scene = Scene::new(engine).await;
    let mut weaker = settings();
    weaker.nodes.truncate(1);
    weaker.quorum = 1;
    assert_eq!(scene.set(weaker.clone()).await.expect("is set").version, 2);
    assert_eq!(scene.set(weaker).await.expect("is as it was").version, 2);
    assert_eq!(scene.set(settings()).await.expect("is set").version, 3);
    let actions = scene.actions().await;
    let ends = &actions[actions.len() - 3..];
    assert_eq!(ends, ["network.added", "network.weakened", "network.set"]);
}

async fn a_frozen_network_takes_two_people(engine: Engine) {
    let scene = Scene::new(engine).await;
    let (platform, id) = (scene.platform(), scene.network.id);
    let one = &scene.installation.admin;
    let two = &colleague(platform, one, &[Scope::NetworksWrite]).await;
    let resume = async |caller| {
        platform
            .resume_network(caller, id, None)
            .await
            .map(executed)
    };
    assert!(matches!(resume(one).await, Err(Error::StateConflict(_))));
    let pause = async |reason| platform.pause_network(one, id, reason, None).await;
    assert_eq!(field(pause(" ").await), "reason");
    let paused = executed(pause("maintenance").await.expect("is paused"));
    assert_eq!(paused.state, NetworkState::Paused);
    assert_eq!(
        resume(one).await.expect("resumes").state,
        NetworkState::Active
    );

    platform
        .freeze_network(id, "70 blocks deep")
        .await
        .expect("freezes");
    assert!(matches!(pause("now").await, Err(Error::StateConflict(_))));
    let asked = resume(one).await.expect("is noted");
    assert_eq!(
        (asked.state, asked.resume_by),
        (NetworkState::Frozen, Some(one.key))
    );
    assert!(matches!(resume(one).await, Err(Error::SecondPerson)));
    // Whoever asked did so under other settings than these.
    let mut renamed = settings();
    renamed.name = "Renamed".to_owned();
    assert_eq!(scene.set(renamed).await.expect("is set").resume_by, None);
    assert_eq!(
        resume(two).await.expect("is noted").state,
        NetworkState::Frozen
    );
    assert!(matches!(resume(two).await, Err(Error::SecondPerson)));
    let resumed = resume(one).await.expect("resumes");
    assert_eq!(
        (resumed.state, resumed.resume_by),
        (NetworkState::Active, None)
    );
    assert_eq!(resumed.reason, None);
}

async fn a_token_is_what_its_contract_says(engine: Engine) {
    let scene = Scene::new(engine).await;
    match scene.add_asset(token(6)).await {
        Err(Error::Validation { field, message }) => {
            assert_eq!(field, "decimals");
            assert!(message.contains("18") && message.contains('6'), "{message}");
        }
        other => panic!("{other:?}"),
    }
    let named = |name: &str| NewAsset {
        name: name.parse().expect("a name"),
        ..token(18)
    };
    let small = CONTRACT.replace("6B17", "6b17");
    for name in [
        "eip155:10/slip44:60",
        "eip155:1/slip44:x",
        "eip155:1/slip44:060",
        "eip155:1/erc20:6b175474",
        "eip155:1/erc721:0x6B175474E89094C44Da98b954EedeAC495271d0F",
        &format!("eip155:1/erc20:{small}"),
    ] {
        assert_eq!(field(scene.add_asset(named(name)).await), "name", "{name}");
    }
    let symbol = |symbol: &str| NewAsset {
        symbol: symbol.to_owned(),
        ..token(18)
    };
    for text in ["", "D AI", "DÄI", &"D".repeat(33)] {
        assert_eq!(
            field(scene.add_asset(symbol(text)).await),
            "symbol",
            "{text}"
        );
    }
    assert_eq!(field(scene.add_asset(token(78)).await), "decimals");
    scene.nodes.set_contract(contract(), 18, Some("FAKE"));
    let added = scene.add_asset(token(18)).await.expect("is added");
    assert_eq!(
        (added.warnings.len(), added.asset.symbol.as_str()),
        (1, "DAI")
    );
    let twice = named(&format!(
        "eip155:1/erc20:{}",
        CONTRACT.to_lowercase().replace("0X", "0x")
    ));
    assert!(matches!(
        scene.add_asset(twice).await,
        Err(Error::StateConflict(_))
    ));
    changes_of_an_asset(&scene, &added.asset).await;
}

async fn changes_of_an_asset(scene: &Scene, asset: &Asset) {
    let (platform, admin) = (scene.platform(), &scene.installation.admin);
    let enable = |enabled| AssetChange {
        enabled: Some(enabled),
        ..AssetChange::default()
    };
    let set = async |change| platform.set_asset(admin, asset.id, change).await;
    let disabled = set(enable(false)).await.expect("is disabled");
    assert_eq!(
        (disabled.state, disabled.version),
        (AssetState::Disabled, 2)
    );
    assert_eq!(set(enable(false)).await.expect("is as it was").version, 2);
    assert_eq!(
        set(enable(true)).await.expect("is enabled").state,
        AssetState::Active
    );
    let close = platform
        .close_breaker(admin, asset.id, "checked", None)
        .await;
    assert!(matches!(close, Err(Error::StateConflict(_))));
    let close = platform.close_breaker(admin, asset.id, "", None).await;
    assert_eq!(field(close), "reason");
    let filter = AssetFilter {
        network: Some(NetworkId::from_bytes([0; 16])),
    };
    assert!(
        platform
            .assets(admin, filter)
            .await
            .expect("reads")
            .is_empty()
    );
}

async fn a_second_call_with_the_same_key_has_no_second_effect(engine: Engine) {
    let scene = Scene::new(engine).await;
    let (platform, admin) = (scene.platform(), &scene.installation.admin);
    let render = |network: &Network| (201, network.id.to_string());
    let call = async |chain: &str, print: u8| {
        let once = Once {
            key: "add-1",
            fingerprint: [print; 32],
            render: &render,
        };
        platform
            .add_network(admin, new_network(chain), Some(once))
            .await
    };
    let first = executed(call("eip155:10", 1).await.expect("is added"));
    let again = call("eip155:10", 1).await.expect("is replayed");
    let replayed = Answer::Replayed {
        status: 201,
        body: first.id.to_string(),
    };
    assert!(again == replayed, "{again:?}");
    let other = call("eip155:11", 2).await;
    assert!(matches!(other, Err(Error::IdempotencyConflict { .. })));
    // The URL's secret is a name in what was stored, and in what nodes were opened with here.
    let opened = scene.nodes.opened();
    assert!(
        opened
            .iter()
            .all(|network| network.settings.nodes[0].rpc.contains("{secret:one}"))
    );
}

/// Every way to change one column is refused, by this process and by one that starts afterwards.
async fn changed_rows_are_refused(engine: Engine) {
    let scene = Scene::new(engine).await;
    let asset = scene.add_asset(token(18)).await.expect("is added").asset;
    let admin = &scene.installation.admin;
    let blob = |text: &str| match engine {
        Engine::Sqlite => format!("X'{text}'"),
        Engine::Postgres => format!("decode('{text}', 'hex')"),
    };
    let key = blob(&"11".repeat(16));
    let networks = [
        (
            "settings",
            "replace(settings, '\"quorum\":2', '\"quorum\":3')".to_owned(),
        ),
        (
            "settings",
            "replace(settings, 'one.example', 'two.example')".to_owned(),
        ),
        ("chain", "'eip155:5'".to_owned()),
        ("state", "'paused'".to_owned()),
        ("reason", "'because'".to_owned()),
        ("resume_by", key),
        ("created_at", "created_at + 1".to_owned()),
        ("version", "version + 1".to_owned()),
        ("seal", blob(&"00".repeat(32))),
    ];
    for (column, value) in networks {
        let before = format!(
            "CREATE TABLE kept AS SELECT * FROM networks; UPDATE networks SET {column} = {value}"
        );
        scene.installation.database.tamper(&before).await;
        for platform in [scene.platform().clone(), scene.installation.reopen().await] {
            let read = platform.network(admin, scene.network.id).await;
            assert!(
                matches!(read, Err(Error::Integrity { .. })),
                "{column}: {read:?}"
            );
            let listed = platform.networks(admin).await;
            assert!(
                matches!(listed, Err(Error::Integrity { .. })),
                "{column}: {listed:?}"
            );
        }
        let back =
            format!("UPDATE networks SET {column} = (SELECT {column} FROM kept); DROP TABLE kept");
        scene.installation.database.tamper(&back).await;
    }
    changed_assets_are_refused(&scene, asset.id, &blob).await;
    assert!(scene.platform().asset(admin, asset.id).await.is_ok());
    assert!(
        scene
            .platform()
            .network(admin, scene.network.id)
            .await
            .is_ok()
    );
}

async fn changed_assets_are_refused(scene: &Scene, asset: AssetId, blob: &dyn Fn(&str) -> String) {
    let admin = &scene.installation.admin;
    let assets = [
        ("name", "'eip155:1/slip44:60'".to_owned()),
        ("contract", blob(&"22".repeat(20))),
        ("symbol", "'USDC'".to_owned()),
        ("decimals", "17".to_owned()),
        ("deposit_units_min", blob("")),
        ("state", "'disabled'".to_owned()),
        ("reason", "'because'".to_owned()),
        ("created_at", "created_at + 1".to_owned()),
        ("version", "version + 1".to_owned()),
    ];
    for (column, value) in assets {
        let before = format!(
            "CREATE TABLE kept AS SELECT * FROM assets; UPDATE assets SET {column} = {value}"
        );
        scene.installation.database.tamper(&before).await;
        for platform in [scene.platform().clone(), scene.installation.reopen().await] {
            let read = platform.asset(admin, asset).await;
            assert!(
                matches!(read, Err(Error::Integrity { .. })),
                "{column}: {read:?}"
            );
            let listed = platform.assets(admin, AssetFilter::default()).await;
            assert!(
                matches!(listed, Err(Error::Integrity { .. })),
                "{column}: {listed:?}"
            );
        }
        let back =
            format!("UPDATE assets SET {column} = (SELECT {column} FROM kept); DROP TABLE kept");
        scene.installation.database.tamper(&back).await;
    }
}

async fn hidden_and_swapped_rows_are_refused(engine: Engine) {
    let scene = Scene::new(engine).await;
    let (platform, admin) = (scene.platform(), &scene.installation.admin);
    let asset = scene.add_asset(token(18)).await.expect("is added").asset;
    let tamper = async |sql: &str| scene.installation.database.tamper(sql).await;
    // An older row with its own good seal.
    tamper("CREATE TABLE old_networks AS SELECT * FROM networks").await;
    tamper("CREATE TABLE old_assets AS SELECT * FROM assets").await;
    let mut more = settings();
    more.quorum = 3;
    scene.set(more).await.expect("is set");
    let change = AssetChange {
        deposit_units_min: Some(U256::from(9)),
        ..AssetChange::default()
    };
    platform
        .set_asset(admin, asset.id, change)
        .await
        .expect("is set");
    for table in ["networks", "assets"] {
        let columns = match table {
            "networks" => "settings version seal",
            _ => "deposit_units_min version seal",
        };
        let set: Vec<String> = columns
            .split(' ')
            .map(|column| format!("{column} = (SELECT {column} FROM old_{table})"))
            .collect();
        tamper(&format!("UPDATE {table} SET {}", set.join(", "))).await;
    }
    for platform in [platform.clone(), scene.installation.reopen().await] {
        let network = platform.network(admin, scene.network.id).await;
        assert!(
            matches!(network, Err(Error::Integrity { .. })),
            "{network:?}"
        );
        let asset = platform.asset(admin, asset.id).await;
        assert!(matches!(asset, Err(Error::Integrity { .. })), "{asset:?}");
    }
    tamper("DELETE FROM assets").await;
    tamper("DELETE FROM networks").await;
    for platform in [platform.clone(), scene.installation.reopen().await] {
        let networks = platform.networks(admin).await;
        assert!(
            matches!(networks, Err(Error::Integrity { .. })),
            "{networks:?}"
        );
        let network = platform.network(admin, scene.network.id).await;
        assert!(
            matches!(network, Err(Error::Integrity { .. })),
            "{network:?}"
        );
        let assets = platform.assets(admin, AssetFilter::default()).await;
        assert!(matches!(assets, Err(Error::Integrity { .. })), "{assets:?}");
        let added = platform
            .add_network(admin, new_network("eip155:1"), None)
            .await;
        assert!(matches!(added, Err(Error::Integrity { .. })), "{added:?}");
    }
}
