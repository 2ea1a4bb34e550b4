//! A `coffer serve` that dies and comes back, and calls that outlive it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

use crate::serving::{Api, ApiError, Died, Programs, Server, Site};

const PAUSE: Duration = Duration::from_millis(25);

pub(super) struct Host {
    programs: Programs,
    pub(super) site: Site,
    server: Option<(Server, Api)>,
    /// What the server was started with; a death is then its own.
    armed: Option<String>,
    pub(super) kills: u32,
    /// Deaths at a failpoint.
    pub(super) failpoints: u32,
}

impl Host {
    pub(super) async fn start(programs: &Programs, site: Site) -> Result<Self> {
        let mut host = Self {
            programs: programs.clone(),
            site,
            server: None,
            armed: None,
            kills: 0,
            failpoints: 0,
        };
        host.alive().await?;
        Ok(host)
    }

    /// A server that answers; started again if it died of what was armed.
    pub(super) async fn alive(&mut self) -> Result<&Api> {
        if let Some((server, _)) = &mut self.server
            && let Some(status) = server.ended()
        {
            if self.armed.take().is_none() {
                bail!("coffer serve ended with {status}:\n{}", server.log_tail());
            }
            self.failpoints += 1;
            self.server = None;
        }
        while self.server.is_none() {
            match Server::start(&self.programs, &self.site, self.armed.as_deref()).await {
                Ok(server) => {
                    let api = Api::new(&server.url, &self.site.token)?;
                    self.server = Some((server, api));
                }
                Err(error) => {
                    let killed = error.downcast_ref::<Died>().is_some_and(|died| died.killed);
                    if !killed || self.armed.take().is_none() {
                        return Err(error);
                    }
                    self.failpoints += 1;
                }
            }
        }
        let (_, api) = self.server.as_ref().expect("it was just started");
        Ok(api)
    }

    /// SIGKILL; the next start is armed with a failpoint, if one is given.
    pub(super) async fn kill(&mut self, armed: Option<String>) {
        if let Some((server, _)) = self.server.take() {
            server.kill().await;
            self.kills += 1;
        }
        self.armed = armed;
    }

    /// SIGTERM, and what was armed is no longer.
    pub(super) async fn stop(&mut self) -> Result<()> {
        let armed = self.armed.take();
        let Some((server, _)) = self.server.take() else {
            return Ok(());
        };
        let stopped = server.stop().await;
        let killed = |error: &anyhow::Error| {
            let died = error.downcast_ref::<Died>();
            died.is_some_and(|died| died.killed)
        };
        match stopped {
            // What was armed struck on the way down.
            Err(error) if armed.is_some() && killed(&error) => {
                self.failpoints += 1;
                Ok(())
            }
            stopped => stopped,
        }
    }

    pub(super) fn log_tail(&self) -> String {
        let server = self.server.as_ref();
        server.map_or_else(String::new, |(server, _)| server.log_tail())
    }

    /// A call that is made again when the server goes down under it, or is busy.
    pub(super) async fn get(&mut self, path: &str) -> Result<Value> {
        for _ in 0..400 {
            match self.alive().await?.get(path).await {
                Ok(answer) => return Ok(answer),
                Err(error) => retriable(error)?,
            }
            // Paced: a server that goes down takes a moment to be gone.
            tokio::time::sleep(PAUSE).await;
        }
        bail!("GET {path} has no answer:\n{}", self.log_tail())
    }

    /// The same under an idempotency key, as `token`, or as the administrator.
    pub(super) async fn post(
        &mut self,
        path: &str,
        body: &Value,
        (key, token): (&str, Option<&str>),
    ) -> Result<Value> {
        for _ in 0..400 {
            let api = self.alive().await?;
            let answer = match token {
                None => api.post(path, key, body).await,
                Some(token) => api.with_token(token).post(path, key, body).await,
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => retriable(error)?,
            }
            // Paced: as above.
            tokio::time::sleep(PAUSE).await;
        }
        bail!("POST {path} has no answer:\n{}", self.log_tail())
    }

    /// Asks until the answer is as wished.
    pub(super) async fn wait(
        &mut self,
        path: &str,
        within: Duration,
        ready: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let deadline = Instant::now() + within;
        loop {
            let answer = self.get(path).await?;
            if ready(&answer) {
                return Ok(answer);
            }
            if Instant::now() > deadline {
                bail!(
                    "{path} is not so after {} s: {answer}\n{}",
                    within.as_secs(),
                    self.log_tail()
                );
            }
            // Paced: another program gives no other sign than its answers.
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn retriable(error: ApiError) -> Result<()> {
    match error {
        ApiError::NoAnswer(_)
        | ApiError::Refused {
            status: 409 | 429 | 503,
            ..
        } => Ok(()),
        refused => bail!("{refused}"),
    }
}
