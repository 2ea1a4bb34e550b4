//! The lying node as a program.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;

use super::{Lie, LyingNode};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The real node behind.
    #[arg(long, value_name = "URL")]
    upstream: String,
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// name[=value][@method][!address][~permille], as often as wanted
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<Lie>,
    /// Of the lies that are told sometimes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Serves until it is killed. A line on standard input is `honest`, `told`, or another fault.
///
/// # Errors
/// When it cannot listen.
pub async fn run(args: Args) -> Result<()> {
    let node = LyingNode::listen(&args.upstream, args.listen, args.seed).await?;
    for lie in args.faults {
        node.add(lie);
    }
    println!("Listening on {}", node.url());
    let node = Arc::new(node);
    let obeying = Arc::clone(&node);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            obey(&obeying, line.trim());
        }
    });
    // Without a terminal there are no lines, and it serves on.
    std::future::pending::<()>().await;
    drop(node);
    Ok(())
}

fn obey(node: &LyingNode, line: &str) {
    match line {
        "" => {}
        "honest" => node.be_honest(),
        "told" => println!("{}", serde_json::json!(node.told())),
        fault => match fault.parse::<Lie>() {
            Ok(lie) => node.add(lie),
            Err(error) => eprintln!("error: {error:#}"),
        },
    }
}
