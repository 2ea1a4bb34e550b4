//! What the process remembers as verified, beside commits: its own leave it, whatever the owner does ends it.

use coffer_platform::{Answer, NewApiKey, Platform, Scope};
use coffer_testkit::Engine;

use super::scene::{Scene, new_wallet, work};

async fn assign(scene: &Scene, name: &str) {
    let installation = &scene.installation;
    let new = new_wallet(installation.vault, name);
    let assigned = installation
        .platform
        .assign_wallet(&installation.admin, new, None);
    let answer = assigned.await.expect("assigned");
    assert!(matches!(answer, Answer::Executed(new) if !new.existing));
}

async fn is_refused(platform: &Platform, token: &str) -> bool {
    !matches!(platform.authenticate(token).await, Ok(Some(_)))
}

async fn a_key_beside_commits(engine: Engine) {
    let mut scene = Scene::create(engine).await;
    let (platform, admin) = (
        scene.installation.platform.clone(),
        scene.installation.admin.clone(),
    );
    let (vault, token) = (scene.installation.vault, scene.reader_token.clone());
    platform.set_pool(&admin, vault, 10, 20).await.expect("set");
    work(&platform, async || {
        let pool = platform.pool(&admin, vault).await;
        pool.expect("read").level >= 10
    })
    .await;
    let remembered = || platform.authenticate_at_once(&token).is_some();
    // PostgreSQL does not count its commits.
    let counts = engine == Engine::Sqlite;
    assert!(!is_refused(&platform, &token).await);
    assert_eq!(remembered(), counts);
    assign(&scene, "beside a key").await;
    assert_eq!(remembered(), counts, "a wallet changes no key");
    let new = NewApiKey {
        name: "another".to_owned(),
        scopes: vec![Scope::WalletsRead],
        expires_in_days: None,
    };
    platform.create_api_key(&admin, new).await.expect("made");
    assert!(!remembered(), "keys were changed");
    for then_a_wallet in [false, true] {
        assert!(!is_refused(&platform, &token).await);
        assert_eq!(remembered(), counts);
        let edit = "UPDATE api_keys SET scopes = 'admin' WHERE name = 'reader'";
        assert_eq!(scene.owner.run(edit).await, 1);
        if then_a_wallet {
            assign(&scene, "after an edit").await;
        }
        assert!(!remembered(), "somebody else has committed");
        assert!(is_refused(&platform, &token).await);
        let back = "UPDATE api_keys SET scopes = 'wallets:read' WHERE name = 'reader'";
        assert_eq!(scene.owner.run(back).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_beside_commits_on_sqlite() {
    a_key_beside_commits(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_beside_commits_on_postgresql() {
    a_key_beside_commits(Engine::Postgres).await;
}
