//! Canaries: nothing secret shows outside of the signer and the files that are meant to hold it.

use std::path::Path;

use coffer_testkit::serving::{Api, Programs, Server, Template};
use coffer_testkit::{Engine, MNEMONIC, programs};

/// BIP-39's published seed of the test words, empty passphrase, and BIP-32's master key of it.
const SEED: &str = "5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc19a5ac40b389cd370d086206dec8aa6c43daea6690f20ad3d8d48b2d2ce9e38e4";
const MASTER_KEY: &str = "1837c1be8e2995ec11cda2b066151be2cfb48adf9e47b151d46adab3a21cdf67";
/// Account public keys of `m/44'/60'/0'` and `m/84'/0'/0'`: confidential, encrypted at rest.
const ACCOUNT_KEYS: [&str; 2] = [
    "xpub6DCoCpSuQZB2jawqnGMEPS63ePKWkwWPH4TU45Q7LPXWuNd8TMtVxRrgjtEshuqpK3mdhaWHPFsBngh5GFZaM6si3yZdUsT8ddYM3PwnATt",
    "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V",
];

/// Public key and chain code inside an extended public key's Base58Check text (BIP-32).
fn inside(xpub: &str) -> [Vec<u8>; 2] {
    let bytes = bitcoin::base58::decode_check(xpub).expect("an extended key");
    [bytes[13..45].to_vec(), bytes[45..78].to_vec()]
}

/// Each secret in the forms in which it could leak.
fn canaries(site_passphrase: &str, token: &str) -> Vec<(String, Vec<u8>)> {
    let mut canaries = vec![
        ("the mnemonic".to_owned(), MNEMONIC.as_bytes().to_vec()),
        (
            "the passphrase".to_owned(),
            site_passphrase.as_bytes().to_vec(),
        ),
    ];
    let secret = token.rsplit('_').next().expect("a token has parts");
    let mut hexadecimal = vec![
        ("the seed", SEED),
        ("the master key", MASTER_KEY),
        ("the API key's secret", secret),
    ];
    let keys: Vec<String> = ACCOUNT_KEYS
        .iter()
        .flat_map(|key| inside(key))
        .map(hex::encode)
        .collect();
    hexadecimal.extend(
        keys.iter()
            .map(|key| ("an account key's part", key.as_str())),
    );
    for (name, text) in hexadecimal {
        canaries.push((format!("{name} in hexadecimal"), text.as_bytes().to_vec()));
        canaries.push((
            format!("{name} in bytes"),
            hex::decode(text).expect("hexadecimal"),
        ));
    }
    for key in ACCOUNT_KEYS {
        canaries.push(("an extended public key".to_owned(), key.as_bytes().to_vec()));
    }
    canaries
}

fn search(place: &str, content: &[u8], canaries: &[(String, Vec<u8>)]) {
    for (name, canary) in canaries {
        let found = content
            .windows(canary.len())
            .any(|window| window == canary.as_slice());
        assert!(!found, "{name} shows in {place}");
    }
}

/// Every file below `folder` but those that hold a secret on purpose.
fn files(folder: &Path, meant: &[&str]) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(files(&path, meant));
        } else if !meant.contains(&name.as_str()) {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn no_secret_shows_in_database_logs_answers_or_metrics() {
    let folder = programs::program("coffer")
        .parent()
        .expect("a folder")
        .to_owned();
    let programs = Programs::in_folder(&folder).expect("the programs are built");
    let template = Template::make(&programs, Engine::Sqlite, None)
        .await
        .expect("init works");
    let site = template.copy().await.expect("copies");
    let passphrase = std::fs::read_to_string(site.passphrase()).expect("the test's passphrase");
    let token = site.token.clone();
    let canaries = canaries(passphrase.trim(), &token);
    let server = Server::start(&programs, &site, None).await.expect("serves");
    let api = Api::new(&server.url, &token).expect("a client");
    let csv = b"external_id,label\none,One\ntwo,Two\n,bad\n".to_vec();
    let batch = api
        .upload(csv, "evm,tron,bitcoin,bitcoin-taproot,solana", "k")
        .await
        .expect("accepted");
    let id = batch["id"].as_str().expect("an id").to_owned();
    // Wrong keys and bad requests are logged as well; what they carry must not be.
    let wrong = format!("{}0", &token[..token.len() - 1]);
    assert!(api.with_token(&wrong).get("/v1/batches").await.is_err() || wrong == token);
    let mut answers = api.results(&id).await.expect("results");
    for path in [
        "/v1/vaults",
        "/v1/wallets",
        "/v1/audit",
        "/v1/keys",
        "/v1/batches",
        "/v1/doctor",
        "/metrics",
        "/readyz",
        "/openapi.json",
    ] {
        answers.extend(
            api.get_bytes(path)
                .await
                .unwrap_or_else(|error| panic!("{path}: {error:?}")),
        );
    }
    search("the API's answers", &answers, &canaries);
    search("the logs' end", server.log_tail().as_bytes(), &canaries);
    server.stop().await.expect("stops");
    let looked_into = files(site.folder(), &["words", "passphrase"]);
    assert!(
        looked_into.iter().any(|path| path.ends_with("coffer.db")),
        "{looked_into:?}"
    );
    assert!(
        looked_into.iter().any(|path| path.ends_with("vault.key")),
        "{looked_into:?}"
    );
    for path in looked_into {
        let content = std::fs::read(&path).expect("reads");
        search(&path.display().to_string(), &content, &canaries);
    }
}

/// The search itself must be able to find what it looks for.
#[test]
#[should_panic(expected = "the mnemonic shows in a test")]
fn a_secret_that_shows_is_found() {
    search(
        "a test",
        format!("log: {MNEMONIC}").as_bytes(),
        &canaries("pass phrase", "cfr_0_00ff"),
    );
}
