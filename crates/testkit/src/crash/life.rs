//! Lives of a server: a client's script runs to its end through as many deaths as it takes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::plan::Armed;
use crate::serving::{Api, ApiError, Died, Programs, Server, Site, send, signer_of};

/// For a whole run; far more than any takes.
const PATIENCE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(20);
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(150);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Victim {
    Coffer,
    Signer,
}

/// A SIGKILL, so long after `coffer` listens (or after the kill before).
#[derive(Debug, Clone, Copy)]
pub(super) struct Kill {
    pub victim: Victim,
    pub after: Duration,
}

/// What befalls the processes.
#[derive(Debug, Default)]
pub(super) struct Fate {
    pub failpoint: Option<Armed>,
    /// In this order.
    pub kills: Vec<Kill>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Deaths {
    pub coffer: u32,
    pub signer: u32,
}

/// A client's work, one call at a time. A step may be cut short or repeated at any moment.
pub(super) trait Work {
    /// `true` when all is done.
    fn step(&mut self, api: &Api) -> impl Future<Output = Result<bool, ApiError>>;
}

enum End {
    Done,
    Died,
}

pub(super) struct Lives<'a> {
    programs: &'a Programs,
    site: &'a Site,
    fate: Fate,
    deaths: Deaths,
    deadline: Instant,
}

impl<'a> Lives<'a> {
    #[must_use]
    pub(super) fn new(programs: &'a Programs, site: &'a Site, mut fate: Fate) -> Self {
        fate.kills.reverse();
        Self {
            programs,
            site,
            fate,
            deaths: Deaths::default(),
            deadline: Instant::now() + PATIENCE,
        }
    }

    /// Until the work is done and a server has ended by SIGTERM with status 0.
    ///
    /// # Errors
    /// When the work cannot be finished, or the failpoint was never passed.
    pub(super) async fn run(mut self, work: &mut impl Work) -> Result<Deaths> {
        let armed = self.fate.failpoint.clone();
        loop {
            if Instant::now() > self.deadline {
                bail!(
                    "not done after {} s and {} deaths",
                    PATIENCE.as_secs(),
                    self.deaths.coffer
                );
            }
            let failpoint = self
                .fate
                .failpoint
                .as_ref()
                .map(|armed| armed.text.as_str());
            let mut server = match Server::start(self.programs, self.site, failpoint).await {
                Ok(server) => server,
                Err(error) => {
                    self.count_failpoint(&error)?;
                    continue;
                }
            };
            match self.live(&mut server, work).await? {
                End::Died => self.died(),
                End::Done => match server.stop().await {
                    Ok(()) => break,
                    Err(error) => self.count_failpoint(&error)?,
                },
            }
        }
        let hit = |armed: &Armed| if armed.in_signer { self.deaths.signer } else { self.deaths.coffer } > 0;
        if let Some(armed) = armed.filter(|armed| !hit(armed)) {
            bail!("{} was never passed", armed.text);
        }
        Ok(self.deaths)
    }

    fn died(&mut self) {
        self.deaths.coffer += 1;
        self.fate.failpoint = None;
    }

    /// A death by the failpoint is part of the play; any other end is an error.
    fn count_failpoint(&mut self, error: &anyhow::Error) -> Result<()> {
        let killed = error.downcast_ref::<Died>().is_some_and(|died| died.killed);
        if !killed || self.fate.failpoint.is_none() {
            bail!("{error:#}");
        }
        self.died();
        Ok(())
    }

    async fn live(&mut self, server: &mut Server, work: &mut impl Work) -> Result<End> {
        let api = Api::new(&server.url, &self.site.token)?;
        let mut signer = signer_of(server.pid());
        let mut kill_at = self.next_kill();
        loop {
            if let Some(status) = server.ended() {
                if !status.success() && self.fate.failpoint.is_some() {
                    return Ok(End::Died);
                }
                bail!("coffer serve ended with {status}:\n{}", server.log_tail());
            }
            if Instant::now() > self.deadline {
                bail!(
                    "not done in time; the end of the log:\n{}",
                    server.log_tail()
                );
            }
            let now = signer_of(server.pid());
            if signer.is_some() && now != signer {
                self.deaths.signer += 1;
                if self
                    .fate
                    .failpoint
                    .as_ref()
                    .is_some_and(|armed| armed.restart_coffer)
                {
                    server.signal(Signal::KILL);
                    server
                        .ended_within(Duration::from_secs(10))
                        .await
                        .context("a killed process ends")?;
                    return Ok(End::Died);
                }
            }
            signer = now;
            let stepped = match kill_at {
                None => work.step(&api).await,
                Some((at, victim)) => {
                    let done = tokio::time::timeout_at(at.into(), work.step(&api)).await;
                    if let Ok(done) = done {
                        done
                    } else {
                        if self.strike(server, victim).await {
                            return Ok(End::Died);
                        }
                        kill_at = self.next_kill();
                        continue;
                    }
                }
            };
            match stepped {
                Ok(true) if kill_at.is_none() => return Ok(End::Done),
                // What is to come may strike an idle server as well.
                Ok(_) => tokio::time::sleep(PAUSE).await,
                Err(ApiError::NoAnswer(_)) => {
                    server.ended_within(Duration::from_millis(500)).await;
                }
                Err(ApiError::Refused {
                    status: 409 | 429 | 503,
                    ..
                }) => tokio::time::sleep(PAUSE_AFTER_REFUSAL).await,
                Err(refused) => bail!("{refused}; the end of the log:\n{}", server.log_tail()),
            }
        }
    }

    fn next_kill(&mut self) -> Option<(Instant, Victim)> {
        self.fate
            .kills
            .pop()
            .map(|kill| (Instant::now() + kill.after, kill.victim))
    }

    /// Whether `coffer` is dead now.
    async fn strike(&mut self, server: &mut Server, victim: Victim) -> bool {
        match victim {
            Victim::Coffer => {
                server.signal(Signal::KILL);
                server.ended_within(Duration::from_secs(10)).await;
                true
            }
            Victim::Signer => {
                if let Some(pid) = signer_of(server.pid()) {
                    send(pid, Signal::KILL);
                }
                false
            }
        }
    }
}
