//! From one HTTP body to the other: asks the node behind, and alters what it says.

use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::bitcoin::{self, Branch};
use super::fault::{Fault, Lie};
use super::fork::{Forgery, Fork, Shape};
use super::state::State;
use super::{forge, lag};
use crate::anvil::{Rpc, number};

/// One server's means.
pub(super) struct Teller {
    pub(super) upstream: Rpc,
    pub(super) state: Arc<State>,
    pub(super) fork: tokio::sync::Mutex<Fork>,
    pub(super) branch: tokio::sync::Mutex<Branch>,
}

/// One call of a body, with the lies it will meet.
struct Call {
    request: Value,
    lies: Vec<Lie>,
    /// Whether it is asked of a lower block than it was meant for.
    is_lowered: bool,
}

impl Call {
    fn method(&self) -> &str {
        self.request["method"].as_str().unwrap_or_default()
    }

    fn is_of_bitcoin(&self) -> bool {
        !["eth_", "net_", "debug_"]
            .iter()
            .any(|family| self.method().starts_with(family))
    }
}

/// The calls of a body, drawn but not yet asked.
pub(super) struct Question {
    calls: Vec<Call>,
    is_batch: bool,
}

impl Question {
    /// The faults of all calls, for those that concern the whole answer.
    pub(super) fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.calls
            .iter()
            .flat_map(|call| call.lies.iter().map(|lie| &lie.fault))
    }
}

impl Teller {
    /// `None` for a body that is no JSON-RPC: there is nothing to lie about.
    pub(super) fn read(&self, body: &[u8]) -> Option<Question> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let is_batch = body.is_array();
        let requests = match body {
            Value::Array(requests) if !requests.is_empty() => requests,
            Value::Object(_) => vec![body],
            _ => return None,
        };
        let calls = requests.into_iter().map(|request| {
            let lies = self
                .state
                .draw(request["method"].as_str().unwrap_or_default());
            Call {
                request,
                lies,
                is_lowered: false,
            }
        });
        Some(Question {
            calls: calls.collect(),
            is_batch,
        })
    }

    /// The altered answer, as JSON.
    ///
    /// # Errors
    /// When the node behind does not answer.
    pub(super) async fn answer(&self, mut question: Question) -> Result<Value> {
        let methods: Vec<&str> = question.calls.iter().map(Call::method).collect();
        self.state.pass(&methods).await;
        let head = self.pretended_head(&question).await?;
        for call in &mut question.calls {
            self.fork.lock().await.rewrite(&mut call.request["params"]);
            self.branch
                .lock()
                .await
                .rewrite(&mut call.request["params"]);
            if let Some(head) = head {
                let meant = call.request["params"].clone();
                lag::rewrite(&mut call.request["params"], head);
                call.is_lowered = call.request["params"] != meant;
            }
        }
        let mut answers = Vec::new();
        let body: Vec<Value> = question
            .calls
            .iter()
            .map(|call| call.request.clone())
            .collect();
        let told = self.ask(body, question.is_batch).await?;
        for (call, answer) in question.calls.iter().zip(told) {
            answers.push(self.alter(call, answer, head).await?);
        }
        Ok(self.arrange(&question, answers))
    }

    async fn ask(&self, mut body: Vec<Value>, is_batch: bool) -> Result<Vec<Value>> {
        let body = if is_batch {
            Value::Array(body)
        } else {
            body.remove(0)
        };
        let (_, text) = self.upstream.post(&body).await?;
        Ok(
            match serde_json::from_str(&text).context("the node behind answers no JSON")? {
                Value::Array(answers) if is_batch => answers,
                one => vec![one],
            },
        )
    }

    /// Where a lagging node says that the chain ends.
    async fn pretended_head(&self, question: &Question) -> Result<Option<u64>> {
        let lag = question.faults().find_map(|fault| match fault {
            Fault::Lag(blocks) => Some(*blocks),
            Fault::Backwards(blocks) => Some(if self.state.is_odd_request() {
                *blocks
            } else {
                0
            }),
            _ => None,
        });
        let Some(lag) = lag.filter(|lag| *lag > 0) else {
            return Ok(None);
        };
        // The chain's family shows in what is asked.
        let head = if question.calls.iter().any(Call::is_of_bitcoin) {
            let count = self.upstream.call("getblockcount", json!([])).await?;
            count.as_u64().context("a height")?
        } else {
            u64::try_from(number(
                &self.upstream.call("eth_blockNumber", json!([])).await?,
            )?)?
        };
        Ok(Some(head.saturating_sub(lag)))
    }

    async fn alter(&self, call: &Call, mut answer: Value, head: Option<u64>) -> Result<Value> {
        for lie in &call.lies {
            let before = answer.clone();
            if let Fault::Error(code) = lie.fault {
                answer = json!({ "jsonrpc": "2.0", "id": answer["id"], "error": { "code": code, "message": "a made-up error" } });
            } else if let (Fault::Lag(_) | Fault::Backwards(_), Some(head), true) =
                (&lie.fault, head, call.is_of_bitcoin())
            {
                bitcoin::lag(call.method(), &call.request["params"], &mut answer, head);
            } else if let Some(result) = answer.get_mut("result") {
                self.lie(call, lie, result, head).await?;
            }
            let lags = matches!(lie.fault, Fault::Lag(_) | Fault::Backwards(_));
            if answer != before || (lags && call.is_lowered) {
                self.state.count(lie.fault.name());
            }
        }
        Ok(answer)
    }

    async fn lie(
        &self,
        call: &Call,
        lie: &Lie,
        result: &mut Value,
        head: Option<u64>,
    ) -> Result<()> {
        let about = lie.about.as_deref();
        let params = call.request["params"].to_string().to_lowercase();
        match &lie.fault {
            Fault::ForgeValue if ["eth_getBalance", "eth_call"].contains(&call.method()) => {
                let wanted = about.is_none_or(|about| params.contains(about));
                wanted.then(|| forge::raise(result));
            }
            Fault::ForgeValue => forge::forge_values(result, about),
            Fault::ForgeHeader => forge::forge_header(result),
            Fault::HideLogs => forge::hide_logs(result, about),
            Fault::HideReceipts => forge::hide_receipts(result, about),
            Fault::HideTransactions => forge::hide_transactions(result, about),
            Fault::HideTraces => forge::hide_traces(result, about),
            Fault::Unknown => *result = Value::Null,
            Fault::CapLogs(most) => {
                if let Some(logs) = result
                    .as_array_mut()
                    .filter(|_| call.method() == "eth_getLogs")
                {
                    logs.truncate(*most);
                }
            }
            Fault::Lag(_) | Fault::Backwards(_) => {
                if let Some(head) = head {
                    lag::cut(call.method(), result, head);
                }
            }
            Fault::Ahead(blocks) if call.method() == "eth_blockNumber" => {
                *result = json!(format!("{:#x}", number(result)? + u128::from(*blocks)));
            }
            Fault::Ahead(blocks) if call.method() == "getblockchaininfo" => {
                let head = result["blocks"].as_u64().unwrap_or_default();
                result["blocks"] = json!(head + blocks);
            }
            Fault::Bitcoin(lie) => {
                let asked = (call.method(), &call.request["params"]);
                let mut branch = self.branch.lock().await;
                lie.tell(&self.upstream, asked, result, &mut branch).await?;
            }
            Fault::ChainId(id) => match call.method() {
                "getblockchaininfo" => result["chain"] = json!(format!("chain-{id}")),
                "eth_chainId" => *result = json!(format!("{id:#x}")),
                "net_version" => *result = json!(id.to_string()),
                _ => {}
            },
            Fault::Genesis if call.method() == "getblockhash" && call.request["params"][0] == 0 => {
                *result = json!(format!("{:0>64}", "1"));
            }
            Fault::Genesis => forge::forge_genesis(result),
            Fault::Invent(invention) => invention.add_to(result),
            fault => {
                if let Some(shape) = shape(fault, about) {
                    let mut fork = self.fork.lock().await;
                    fork.tell(&self.upstream, shape, result).await?;
                }
            }
        }
        Ok(())
    }

    /// Ids, order and number of the answers.
    fn arrange(&self, question: &Question, mut answers: Vec<Value>) -> Value {
        let has = |fault: &Fault| question.faults().any(|own| own == fault);
        if has(&Fault::WrongId) {
            self.state.count("wrong-id");
            for answer in &mut answers {
                answer["id"] = json!(answer["id"].as_i64().unwrap_or_default() + 1_000_000);
            }
        }
        if has(&Fault::Shuffled) && answers.len() > 1 {
            self.state.count("shuffled");
            answers.reverse();
        }
        if has(&Fault::Missing) {
            self.state.count("missing");
            answers.pop();
            return Value::Array(answers);
        }
        if question.is_batch || answers.len() != 1 {
            return Value::Array(answers);
        }
        answers.remove(0)
    }
}

/// How a fork differs; `None` for what is no fork, and concerns the whole body or the connection.
fn shape(fault: &Fault, about: Option<&str>) -> Option<Shape> {
    let (from, forgery) = match fault {
        Fault::Fork(from) => (*from, Forgery::Nothing),
        Fault::ForgedFork(from) => (*from, Forgery::Values(about.map(str::to_owned))),
        Fault::InventedFork(from, invention) => (*from, Forgery::Invented(invention.clone())),
        _ => return None,
    };
    Some(Shape { from, forgery })
}
