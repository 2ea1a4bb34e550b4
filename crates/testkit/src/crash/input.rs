//! The customers' file of a run, and chance that can be repeated.

/// A small generator (`SplitMix64`): the same seed gives the same run.
pub struct Chance(u64);

impl Chance {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to below `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.draw() % (high - low).max(1)
    }
}

/// A CSV file, and what each of its rows asks for.
pub struct Input {
    pub csv: Vec<u8>,
    /// `None`: a row that is to be rejected.
    pub rows: Vec<Option<String>>,
}

const LABELS: [&str; 4] = [
    "Ada Lovelace",
    "客户 四",
    "\"Müller, \"\"Söhne\"\"\"",
    "Нина",
];

impl Input {
    /// Good rows, with an empty or a repeated id now and then.
    #[must_use]
    pub fn of(rows: u32) -> Self {
        let mut csv = String::from("external_id,label\n");
        let mut expected = Vec::with_capacity(rows as usize);
        for row in 1..=rows {
            let id = match row {
                row if row % 997 == 0 => None,
                row if row % 1009 == 0 => Some((name(row - 5), false)),
                row => Some((name(row), true)),
            };
            let (text, good) = id.unwrap_or_default();
            csv.push_str(&format!("{text},{}\n", LABELS[row as usize % LABELS.len()]));
            expected.push(good.then_some(text));
        }
        Self {
            csv: csv.into_bytes(),
            rows: expected,
        }
    }

    /// Good rows only, with ids in order.
    #[must_use]
    pub fn clean(rows: u32) -> Self {
        Self::named(rows, name)
    }

    /// Good rows only, with ids as random as UUIDs, and as long; the same ones each time.
    #[must_use]
    pub fn scattered(rows: u32) -> Self {
        Self::named(rows, |row| {
            let (high, low) = (Chance::new(u64::from(row)).draw(), row);
            format!("{high:016x}-{low:08x}-0123456789")
        })
    }

    fn named(rows: u32, name: impl Fn(u32) -> String) -> Self {
        let mut csv = String::from("external_id,label\n");
        for row in 1..=rows {
            csv.push_str(&format!(
                "{},{}\n",
                name(row),
                LABELS[row as usize % LABELS.len()]
            ));
        }
        Self {
            csv: csv.into_bytes(),
            rows: (1..=rows).map(|row| Some(name(row))).collect(),
        }
    }
}

fn name(row: u32) -> String {
    format!("customer-{row:07}@example.com")
}
