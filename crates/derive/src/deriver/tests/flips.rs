//! One bit is flipped somewhere between the parent and the payloads, and the proof must refuse what comes of it.
//! Where a bit can be without consequence, it is aimed: at entries of the table that a key uses, at lanes that have
//! a key, at bits that an element has.

use super::*;
use crate::comb::fault::{self, Fault, Place, WINDOWS_OF_A_WALK};

const KEYS: usize = 12;
const FIRST: u32 = 77;
/// For each target, on each set of instructions; so many that there are 10,000 also where there is but one set.
const FLIPS_MIN: usize = 10_000;

/// What is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// The states and words of HMAC that all children share.
    KeptState,
    /// I_L, the scalar of a key.
    Tweak,
    /// The parent's point, to which multiples are added.
    Start,
    Table,
    Walk(Place),
    KeyX,
    KeyY,
    /// The state behind the tag, which all Taproot tweaks share.
    TagState,
    TapTweak,
    InternalKey,
    OutputTable,
    OutputWalk(Place),
    OutputX,
    OutputY,
    Payload(usize),
}

fn targets() -> Vec<Target> {
    use Target::*;
    let mut targets = vec![KeptState, Tweak, Start, Table, KeyX, KeyY];
    targets.extend([
        TagState,
        TapTweak,
        InternalKey,
        OutputTable,
        OutputX,
        OutputY,
    ]);
    targets.extend(Place::ALL.map(Walk));
    targets.extend(Place::ALL.map(OutputWalk));
    targets.extend((0..Scheme::ALL.len()).map(Payload));
    targets
}

/// Numbers as good as random, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }

    fn fault(&mut self, place: Place) -> Fault {
        Fault {
            place,
            window: self.below(WINDOWS_OF_A_WALK),
            lane: self.below(KEYS),
            bit: self.below(256),
        }
    }

    fn flip(&mut self, bytes: &mut [u8]) {
        let bit = self.below(8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
    }

    /// A coordinate of a point.
    fn flip_point(&mut self, point: &mut Affine) {
        let (bit, y) = (self.below(256), self.below(2) == 1);
        let words = if y { &mut point.y } else { &mut point.x };
        words[bit / 64] ^= 1 << (bit % 64);
    }
}

fn parent() -> ExtendedPublicKey {
    let generator = affine(&AffinePoint::GENERATOR).expect("not infinity");
    let mut public_key = [2; 33];
    public_key[1..].copy_from_slice(&crate::field::to_bytes(&generator.x));
    let root = ExtendedPublicKey {
        public_key,
        chain_code: [9; 32],
    };
    root.child(3).expect("a child")
}

struct Batch {
    children: Children,
    payloads: [(Scheme, Payloads); 3],
}

/// The steps of [`Deriver::children`] and [`Deriver::payloads_of`], one of them damaged.
struct Derivation<'a> {
    deriver: &'a mut Deriver,
    random: &'a mut Random,
    target: Option<Target>,
}

impl Derivation<'_> {
    fn is(&self, target: Target) -> bool {
        self.target == Some(target)
    }

    fn indexes() -> IndexRange {
        IndexRange::try_new(FIRST, KEYS as u32).expect("a range")
    }

    fn batch(mut self) -> Batch {
        let mut children = Children::new();
        self.keys(&mut children);
        self.outputs(&mut children);
        let (xs, ys) = (&mut children.keys.xs, &mut children.keys.ys);
        let lane = self.random.below(KEYS);
        match self.target {
            Some(Target::KeyX) => self.random.flip(&mut xs[lane]),
            Some(Target::KeyY) => self.random.flip(&mut ys[lane]),
            Some(Target::OutputX) => self.random.flip(&mut children.outputs.xs[lane]),
            Some(Target::OutputY) => self.random.flip(&mut children.outputs.ys[lane]),
            _ => {}
        }
        let (arch, keys) = (self.deriver.arch, &children.keys);
        let mut payloads = Scheme::ALL.map(|scheme| {
            let mut bytes = vec![0; KEYS * scheme.payload_len()];
            match scheme {
                Scheme::Keccak20 => keccak20(arch, &keys.xs, &keys.ys, &mut bytes),
                Scheme::Hash160 => {
                    let y_odd: Vec<_> = keys.ys.iter().map(|y| y[31] & 1 == 1).collect();
                    hash160(arch, &keys.xs, &y_odd, &mut bytes);
                }
                Scheme::Taproot => {
                    bytes.copy_from_slice(children.outputs.xs.as_flattened());
                }
            }
            if self.target == Some(Target::Payload(scheme as usize)) {
                self.random.flip(&mut bytes);
            }
            bytes
        });
        let payloads = Scheme::ALL.map(|scheme| {
            let bytes = std::mem::take(&mut payloads[scheme as usize]);
            let payloads = Payloads::from_bytes(scheme.payload_len(), bytes);
            (scheme, payloads.expect("whole records"))
        });
        Batch { children, payloads }
    }

    fn keys(&mut self, children: &mut Children) {
        let parent = parent();
        children.reset(Self::indexes());
        children.tweaks.resize(KEYS, [0; 32]);
        let mut hmac = ChildHmac::new(&parent);
        if self.is(Target::KeptState) {
            hmac.flip(self.random.below(ChildHmac::KEPT_BITS));
        }
        hmac.tweaks(self.deriver.arch, FIRST, &mut children.tweaks);
        if self.is(Target::Tweak) {
            let lane = self.random.below(KEYS);
            self.random.flip(&mut children.tweaks[lane]);
        }
        let mut start = affine(&parent.point().expect("a point")).expect("not infinity");
        if self.is(Target::Start) {
            self.random.flip_point(&mut start);
        }
        let walk = match self.target {
            Some(Target::Walk(place)) => Some(place),
            _ => None,
        };
        let is_table = self.is(Target::Table);
        let (tweaks, keys) = (&children.tweaks, &mut children.keys);
        self.add(Start::Same(start), tweaks, keys, walk, is_table);
    }

    fn outputs(&mut self, children: &mut Children) {
        let tag_bit = self
            .is(Target::TagState)
            .then(|| self.random.below(TapTweak::KEPT_BITS));
        let mut tweaks = vec![[0; 32]; KEYS];
        // The second flip restores the state.
        tag_bit.inspect(|bit| self.deriver.tap_tweak.flip(*bit));
        let deriver = &*self.deriver;
        (deriver.tap_tweak).of(deriver.arch, &children.keys.xs, &mut tweaks);
        tag_bit.inspect(|bit| self.deriver.tap_tweak.flip(*bit));
        let lane = self.random.below(KEYS);
        if self.is(Target::TapTweak) {
            self.random.flip(&mut tweaks[lane]);
        }
        let mut internal_keys: Vec<_> = children.keys.iter().map(lift).collect();
        if self.is(Target::InternalKey) {
            self.random.flip_point(&mut internal_keys[lane]);
        }
        let walk = match self.target {
            Some(Target::OutputWalk(place)) => Some(place),
            _ => None,
        };
        let is_table = self.is(Target::OutputTable);
        let start = Start::Each(&internal_keys);
        self.add(start, &tweaks, &mut children.outputs, walk, is_table);
    }

    fn add(
        &mut self,
        start: Start<'_>,
        scalars: &[[u8; 32]],
        out: &mut Points,
        walk: Option<Place>,
        is_table: bool,
    ) {
        let lane = self.random.below(KEYS);
        let (window, bit) = (self.random.below(WINDOWS_OF_A_WALK), self.random.below(512));
        if is_table {
            self.deriver.comb.flip(&scalars[lane], window, bit);
        }
        if let Some(place) = walk {
            fault::arm(self.random.fault(place));
        }
        let result = self.deriver.add_scalars(start, scalars, out);
        assert_eq!(result, Ok(()), "{:?}", self.target);
        assert!(!fault::is_armed(), "{:?} was not reached", self.target);
        if is_table {
            self.deriver.comb.flip(&scalars[lane], window, bit);
        }
    }
}

fn prove(deriver: &Deriver, batch: &Batch, seed: usize) -> Result<(), VerifyError> {
    let payloads: Vec<_> = batch.payloads.iter().map(|(s, p)| (*s, p)).collect();
    let mut randomness = [5; 32];
    randomness[..8].copy_from_slice(&seed.to_be_bytes());
    let indexes = Derivation::indexes();
    deriver.prove(&parent(), indexes, &batch.children, &payloads, &randomness)
}

/// Ten thousand flips in tables, states, scalars, digits, intermediates, points and payloads.
#[test]
fn every_flipped_bit_is_caught() {
    let targets = targets();
    let archs = Arch::available();
    let each = FLIPS_MIN.div_ceil(targets.len() * archs.len());
    let (mut random, mut flips) = (Random(1), 0);
    for arch in archs {
        let mut deriver = Deriver::with_arch(*arch);
        for target in &targets {
            for _ in 0..each {
                let derivation = Derivation {
                    deriver: &mut deriver,
                    random: &mut random,
                    target: Some(*target),
                };
                let batch = derivation.batch();
                let judged = prove(&deriver, &batch, flips);
                assert!(judged.is_err(), "{arch:?}: {target:?}, flip {flips}");
                flips += 1;
            }
        }
        // What was flipped was restored, and without a flip these steps are proven.
        let derivation = Derivation {
            deriver: &mut deriver,
            random: &mut random,
            target: None,
        };
        let batch = derivation.batch();
        assert_eq!(prove(&deriver, &batch, flips), Ok(()), "{arch:?}");
    }
    assert!(flips >= FLIPS_MIN, "{flips}");
}
