//! Progress on standard error: a bar on a terminal, a line now and then elsewhere, nothing for scripts.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::{Output, error, thousands};

/// Between two plain lines, unless a tenth of the work was done before.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Between two lines about tenths: what is over at once is not worth a line.
const TENTH_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) enum Meter {
    Quiet,
    Bar(ProgressBar),
    Lines(Lines),
}

pub(crate) struct Lines {
    unit: &'static str,
    total: u64,
    tenth: u64,
    phase: String,
    told_at: Instant,
}

impl Meter {
    /// Counts `unit`s up to `total`; zero means that the end is not known.
    pub(crate) fn new(out: Output, total: u64, unit: &'static str) -> Self {
        if out.is_json() {
            return Self::Quiet;
        }
        if std::io::stderr().is_terminal() {
            return Self::Bar(bar(total, unit));
        }
        Self::Lines(Lines {
            unit,
            total,
            tenth: 0,
            phase: String::new(),
            told_at: Instant::now(),
        })
    }

    pub(crate) fn set_total(&mut self, new_total: u64) {
        match self {
            Self::Quiet => {}
            Self::Bar(bar) => bar.set_length(new_total),
            Self::Lines(lines) => lines.total = new_total,
        }
    }

    /// `phase` is what is going on, `remark` the rate and the time left.
    pub(crate) fn set(&mut self, done: u64, phase: &str, remark: &str) {
        match self {
            Self::Quiet => {}
            Self::Bar(bar) => {
                if bar.message() != phase {
                    bar.set_message(phase.to_owned());
                }
                if bar.prefix() != remark {
                    bar.set_prefix(remark.to_owned());
                }
                bar.set_position(done);
            }
            Self::Lines(lines) => {
                if let Some(line) = lines.set(done, phase, remark, Instant::now()) {
                    error(&line);
                }
            }
        }
    }

    /// Above the bar, so that it is not torn.
    pub(crate) fn say(&self, text: &str) {
        match self {
            Self::Quiet => {}
            Self::Bar(bar) => bar.suspend(|| error(text)),
            Self::Lines(_) => error(text),
        }
    }

    /// Takes the bar away; the answer says the rest.
    pub(crate) fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl Lines {
    /// The line to print, if one is due.
    fn set(&mut self, done: u64, phase: &str, remark: &str, now: Instant) -> Option<String> {
        let tenth = (done * 10).checked_div(self.total).unwrap_or(0);
        let is_new_phase = phase != self.phase;
        let is_first = self.phase.is_empty();
        phase.clone_into(&mut self.phase);
        let silence = now.duration_since(self.told_at);
        let is_due = silence >= LINE_INTERVAL || tenth > self.tenth && silence >= TENTH_INTERVAL;
        if is_first || !is_new_phase && !is_due {
            return None;
        }
        self.tenth = tenth;
        self.told_at = now;
        let of = match self.total {
            0 => String::new(),
            total => format!(" of {}", thousands(total)),
        };
        let line = format!("{phase}: {}{of} {}  {remark}", thousands(done), self.unit);
        Some(line.trim_end().to_owned())
    }
}

fn bar(total: u64, unit: &str) -> ProgressBar {
    let (done, all) = match unit {
        "bytes" => ("{bytes}", "{total_bytes}"),
        _ => ("{human_pos}", "{human_len}"),
    };
    let named = if unit == "bytes" {
        String::new()
    } else {
        format!(" {unit}")
    };
    let template = match total {
        0 => format!("{{msg:10}} {done}{named}  {{prefix}}"),
        _ => format!("{{msg:10}} [{{wide_bar}}] {{percent:>3}} %  {done}/{all}{named}  {{prefix}}"),
    };
    let style = ProgressStyle::with_template(&template)
        .map(|style| style.progress_chars("=> "))
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_few_and_tell_what_is_new() {
        let start = Instant::now();
        let mut lines = Lines {
            unit: "rows",
            total: 10_000,
            tenth: 0,
            phase: String::new(),
            told_at: start,
        };
        let mut at = |seconds: u64, done: u64, phase: &str| {
            lines.set(
                done,
                phase,
                "9 rows/s",
                start + Duration::from_secs(seconds),
            )
        };
        assert_eq!(
            at(0, 0, "accepted"),
            None,
            "what has just begun was said already"
        );
        let told = Some("running: 1 of 10,000 rows  9 rows/s".to_owned());
        assert_eq!(at(0, 1, "running"), told, "a new phase");
        assert_eq!(at(1, 900, "running"), None);
        assert!(at(2, 1000, "running").is_some(), "a tenth");
        assert_eq!(at(2, 2000, "running"), None, "too soon");
        assert_eq!(at(11, 1001, "running"), None);
        assert!(at(12, 1001, "running").is_some(), "a sign of life");
    }
}
