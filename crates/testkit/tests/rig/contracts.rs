use anyhow::{Context, Result};
use coffer_testkit::anvil::{Anvil, Arg, Contract, Options, keccak256, number};
use serde_json::{Value, json};

const OURS: &str = "0x9999999999999999999999999999999999999999";
const OTHER: &str = "0x8888888888888888888888888888888888888888";

fn transfer_topic() -> String {
    format!(
        "0x{}",
        hex::encode(keccak256(b"Transfer(address,address,uint256)"))
    )
}

/// Mines a block, and answers status and logs of the transaction in it.
async fn mined(anvil: &Anvil, transaction: &str) -> Result<(bool, Vec<Value>)> {
    anvil.mine(1).await?;
    let receipt = anvil
        .receipt(transaction)
        .await?
        .context("it is in a block")?;
    let logs = receipt["logs"].as_array().context("logs")?.clone();
    Ok((receipt["status"] == "0x1", logs))
}

/// Values of well-formed Transfers to `OURS` that `emitter` logged.
fn credited(logs: &[Value], emitter: &Contract) -> Vec<String> {
    let ours = format!("0x{:0>64}", OURS.trim_start_matches("0x"));
    let log = logs.iter().filter(|log| {
        let topics = log["topics"].as_array().map_or(0, Vec::len);
        topics == 3
            && log["topics"][0] == transfer_topic()
            && log["topics"][2] == ours
            && log["address"] == emitter.address
            && log["data"].as_str().is_some_and(|data| data.len() == 66)
    });
    log.map(|log| {
        log["data"]
            .as_str()
            .unwrap_or_default()
            .trim_start_matches("0x")
            .trim_start_matches('0')
            .to_owned()
    })
    .collect()
}

/// A token of this name, 1,000 units of which the first account holds.
async fn token(anvil: &Anvil, name: &str, arguments: &[Arg]) -> Result<Contract> {
    let token = anvil.deploy(name, arguments).await?;
    let owner = &anvil.accounts[0];
    let minted = anvil
        .execute(
            owner,
            &token,
            "mint",
            &[Arg::address(owner), Arg::Uint(1_000)],
        )
        .await?;
    assert!(mined(anvil, &minted).await?.0, "{name} mints");
    Ok(token)
}

/// Sends 100 units: what is logged for `OURS`, and by how much its balance rises.
async fn check(
    anvil: &Anvil,
    name: &str,
    decimals: Option<u8>,
    expected: (&[&str], u128),
) -> Result<()> {
    let mut arguments = vec![Arg::text("USDX")];
    arguments.extend(decimals.map(|decimals| Arg::Uint(decimals.into())));
    let token = token(anvil, name, &arguments).await?;
    let sent = anvil
        .transfer(&token, &anvil.accounts[0], OURS, 100)
        .await?;
    let (status, logs) = mined(anvil, &sent).await?;
    assert!(status, "{name}");
    let moved = anvil.token_balance(&token, OURS).await?;
    assert_eq!(
        (credited(&logs, &token), moved),
        (
            expected.0.iter().map(|&text| text.to_owned()).collect(),
            expected.1
        ),
        "{name}"
    );
    Ok(())
}

#[tokio::test]
async fn tokens_do_what_is_written_above_them() -> Result<()> {
    let anvil = Anvil::start(&Options::default()).await?;
    let huge = "f".repeat(64);
    check(&anvil, "Token", Some(6), (&["64"], 100)).await?;
    check(&anvil, "NoReturnToken", None, (&["64"], 100)).await?;
    check(&anvil, "FalseToken", None, (&[], 0)).await?;
    check(&anvil, "PhantomToken", None, (&["64"], 0)).await?;
    check(&anvil, "SilentToken", None, (&[], 100)).await?;
    check(&anvil, "LookAlikeToken", Some(6), (&["64"], 100)).await?;
    check(&anvil, "FeeToken", None, (&["5a"], 90)).await?;
    check(&anvil, "HiddenFeeToken", None, (&["64"], 90)).await?;
    check(&anvil, "RebasingToken", None, (&["64"], 100)).await?;
    check(&anvil, "HugeToken", None, (&[&huge], 0)).await?;
    check(&anvil, "ChangingDecimalsToken", Some(6), (&["64"], 100)).await?;
    check(&anvil, "HookToken", None, (&["64"], 100)).await
}

#[tokio::test]
async fn balances_and_code_change_behind_the_logs() -> Result<()> {
    let anvil = Anvil::start(&Options::default()).await?;
    let owner = anvil.accounts[0].clone();
    let rebasing = token(&anvil, "RebasingToken", &[Arg::text("RB")]).await?;
    let rebase = anvil
        .execute(&owner, &rebasing, "rebase", &[Arg::Uint(50)])
        .await?;
    assert_eq!(mined(&anvil, &rebase).await?, (true, vec![]));
    assert_eq!(anvil.token_balance(&rebasing, &owner).await?, 500);

    let honest = anvil
        .deploy("Token", &[Arg::text("X"), Arg::Uint(18)])
        .await?;
    let phantom = anvil.deploy("PhantomToken", &[Arg::text("X")]).await?;
    let proxy = token(
        &anvil,
        "SwappableToken",
        &[Arg::text("X"), Arg::address(&honest.address)],
    )
    .await?;
    let front = honest.at(&proxy.address);
    for (code, balance) in [(&honest, 100), (&phantom, 100)] {
        anvil
            .execute(&owner, &proxy, "swap", &[Arg::address(&code.address)])
            .await?;
        let sent = anvil.transfer(&front, &owner, OURS, 100).await?;
        let (status, logs) = mined(&anvil, &sent).await?;
        assert!(status);
        assert_eq!(credited(&logs, &front), ["64"]);
        assert_eq!(anvil.token_balance(&front, OURS).await?, balance);
    }

    let changing = token(
        &anvil,
        "ChangingDecimalsToken",
        &[Arg::text("CD"), Arg::Uint(6)],
    )
    .await?;
    anvil
        .execute(&owner, &changing, "setDecimals", &[Arg::Uint(2)])
        .await?;
    anvil.mine(1).await?;
    assert_eq!(anvil.call(&changing, "decimals", &[]).await?[31], 2);

    let hook = token(&anvil, "HookToken", &[Arg::text("HK")]).await?;
    let wallet = anvil.deploy("Reentrant", &[Arg::address(OURS)]).await?;
    anvil
        .execute(
            &owner,
            &hook,
            "mint",
            &[Arg::address(&wallet.address), Arg::Uint(70)],
        )
        .await?;
    let sent = anvil.transfer(&hook, &owner, &wallet.address, 70).await?;
    let (status, logs) = mined(&anvil, &sent).await?;
    assert!(status);
    assert_eq!(credited(&logs, &hook), ["46"]);
    assert_eq!(logs.len(), 4);
    Ok(())
}

#[tokio::test]
async fn transfers_of_another_shape_are_none() -> Result<()> {
    let anvil = Anvil::start(&Options::default()).await?;
    let odd = anvil.deploy("OddTopicsToken", &[]).await?;
    let cases = [
        ("oneTopic", 1),
        ("twoTopics", 2),
        ("fourTopics", 4),
        ("oddData", 3),
        ("dirtyTopic", 3),
    ];
    for (function, topics) in cases {
        let arguments = [Arg::address(OURS), Arg::Uint(31)];
        let sent = anvil
            .execute(&anvil.accounts[0], &odd, function, &arguments)
            .await?;
        let (status, logs) = mined(&anvil, &sent).await?;
        assert!(status);
        let counted = logs[0]["topics"].as_array().map(Vec::len);
        assert_eq!(counted, Some(topics), "{function}");
        assert_eq!(credited(&logs, &odd), [""; 0], "{function}");
    }
    Ok(())
}

/// Calls a function of a new contract that holds some of the token. Whether that succeeds, how many logs it
/// leaves, and which values of the token it credits.
async fn meddle(
    anvil: &Anvil,
    token: &Contract,
    (name, function): (&str, &str),
    arguments: &[Arg],
) -> Result<(bool, usize, Vec<String>)> {
    let contract = anvil.deploy(name, &[]).await?;
    let owner = &anvil.accounts[0];
    anvil.transfer(token, owner, &contract.address, 50).await?;
    let sent = anvil.execute(owner, &contract, function, arguments).await?;
    let (status, logs) = mined(anvil, &sent).await?;
    Ok((status, logs.len(), credited(&logs, token)))
}

#[tokio::test]
async fn what_other_contracts_do_with_a_token() -> Result<()> {
    let anvil = Anvil::start(&Options::default()).await?;
    let token = token(&anvil, "Token", &[Arg::text("USDX"), Arg::Uint(6)]).await?;
    let moved = [
        Arg::address(&token.address),
        Arg::address(OURS),
        Arg::Uint(5),
    ];
    let nothing = Vec::<String>::new;
    let did = meddle(&anvil, &token, ("LogForger", "forge"), &moved).await?;
    assert_eq!(did, (true, 3, nothing()));
    let did = meddle(&anvil, &token, ("InnerReverter", "attempt"), &moved).await?;
    assert_eq!(did, (true, 0, nothing()));
    let did = meddle(&anvil, &token, ("InnerReverter", "transferAndFail"), &moved).await?;
    assert_eq!(did, (false, 0, nothing()));
    let flood = [Arg::address(OURS), Arg::Uint(50)];
    let did = meddle(&anvil, &token, ("Spammer", "flood"), &flood).await?;
    assert_eq!(did, (true, 50, nothing()));
    let poison = [
        Arg::address(&token.address),
        Arg::address(OURS),
        Arg::address(OTHER),
    ];
    let did = meddle(&anvil, &token, ("Spammer", "poison"), &poison).await?;
    // A value of zero, all of its digits stripped.
    assert_eq!(did, (true, 2, vec![String::new()]));
    let receivers = [OURS, OTHER, OURS].map(str::to_owned).to_vec();
    let shares = [
        Arg::address(&token.address),
        Arg::Addresses(receivers),
        Arg::Uint(5),
    ];
    let did = meddle(&anvil, &token, ("Disperser", "disperse"), &shares).await?;
    assert_eq!(did, (true, 3, vec!["5".to_owned(), "5".to_owned()]));
    assert_eq!(anvil.token_balance(&token, OURS).await?, 10);
    Ok(())
}

#[tokio::test]
async fn borrowed_code_logs_under_the_borrowers_address() -> Result<()> {
    let anvil = Anvil::start(&Options::default()).await?;
    let owner = anvil.accounts[0].clone();
    let token = token(&anvil, "Token", &[Arg::text("USDX"), Arg::Uint(6)]).await?;
    let wrapper = anvil.deploy("DelegateWrapper", &[]).await?;
    let nine = [Arg::address(&owner), Arg::Uint(9)];
    anvil.execute(&owner, &wrapper, "mint", &nine).await?;
    let transfer = token.encode("transfer", &[Arg::address(OURS), Arg::Uint(9)])?;
    let run = [Arg::address(&token.address), Arg::Bytes(transfer)];
    let sent = anvil.execute(&owner, &wrapper, "run", &run).await?;
    let (status, logs) = mined(&anvil, &sent).await?;
    assert!(status);
    assert_eq!(credited(&logs, &wrapper), ["9"]);
    assert_eq!(credited(&logs, &token), [""; 0]);
    assert_eq!(anvil.token_balance(&token, OURS).await?, 0);
    Ok(())
}

#[tokio::test]
async fn ether_arrives_by_internal_calls() -> Result<()> {
    let anvil = Anvil::start(&Options::default()).await?;
    let sender = anvil.deploy("NativeSender", &[]).await?;
    let refuser = anvil.deploy("Refuser", &[]).await?;
    let ours = || Arg::address(OURS);
    let other = || Arg::address(OTHER);
    let many = [OURS, &refuser.address, OTHER, OURS].map(str::to_owned);
    let many = Arg::Addresses(many.to_vec());
    let share = || Arg::Uint(10);
    let cases = [
        ("send", vec![ours()], 100, true, 100),
        ("sendMany", vec![many, share()], 40, true, 20),
        ("sendOneUndone", vec![ours(), other(), share()], 30, true, 0),
        (
            "sendOneUndone",
            vec![other(), ours(), share()],
            30,
            true,
            10,
        ),
        ("sendAndFail", vec![ours()], 100, false, 0),
    ];
    for (function, arguments, wei, succeeds, rise) in cases {
        let before = anvil.balance(OURS).await?;
        let sent = anvil.pay(wei, &sender, function, &arguments).await?;
        let (status, logs) = mined(&anvil, &sent).await?;
        assert_eq!((status, logs.len()), (succeeds, 0), "{function}");
        assert_eq!(anvil.balance(OURS).await? - before, rise, "{function}");
        let trace = json!([anvil.head().await?["hash"], { "tracer": "callTracer" }]);
        let trace = anvil.rpc().call("debug_traceBlockByHash", trace).await?;
        assert!(
            trace[0]["result"]["calls"].is_array(),
            "{function}: {trace}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn ether_arrives_by_selfdestruct_wallet_and_creation() -> Result<()> {
    let anvil = Anvil::start(&Options::default()).await?;
    let ours = || Arg::address(OURS);
    let destructor = anvil.deploy("SelfDestructor", &[]).await?;
    let sent = anvil.pay(77, &destructor, "destroy", &[ours()]).await?;
    assert!(mined(&anvil, &sent).await?.0);
    assert_eq!(anvil.balance(OURS).await?, 77);

    let wallet = anvil.deploy("ContractWallet", &[]).await?;
    let execute = [ours(), Arg::Uint(5), Arg::Bytes(Vec::new())];
    let sent = anvil.pay(5, &wallet, "execute", &execute).await?;
    assert!(mined(&anvil, &sent).await?.0);
    let sender = anvil.deploy("NativeSender", &[]).await?;
    let forward = Arg::Bytes(sender.encode("send", &[ours()])?);
    let delegate = [Arg::address(&sender.address), forward];
    let sent = anvil.pay(6, &sender, "delegate", &delegate).await?;
    assert!(mined(&anvil, &sent).await?.0);
    assert_eq!(anvil.balance(OURS).await?, 77 + 5 + 6);

    let sent = anvil
        .pay(8, &sender, "create", &[Arg::Word([7; 32])])
        .await?;
    assert!(mined(&anvil, &sent).await?.0);
    let trace = json!([sent, { "tracer": "callTracer" }]);
    let trace = anvil.rpc().call("debug_traceTransaction", trace).await?;
    let made = &trace["calls"][0];
    assert_eq!(made["type"], "CREATE2");
    assert_eq!(number(&made["value"])?, 8);
    let address = made["to"].as_str().context("an address")?;
    assert_eq!(anvil.balance(address).await?, 8);
    Ok(())
}
