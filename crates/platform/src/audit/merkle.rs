//! The Merkle tree of RFC 6962 (section 2.1) over leaf hashes: its root, and the path of one leaf.
//!
//! A leaf is hashed behind a zero byte and a node behind a one, so that no node can be passed off as a leaf. Of
//! each level an odd last node goes up as it is, which is the same tree as the standard's split at the largest power
//! of two. Linear in the leaves; paths have one hash per level. Whoever checks a path does so by code of its own, see
//! `coffer audit check-proof`.

use sha2::{Digest, Sha256};

pub(crate) type Hash = [u8; 32];

/// Takes up a leaf's bytes; `finalize` gives its hash.
pub(crate) fn leaf() -> Sha256 {
    Sha256::new_with_prefix([0])
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new_with_prefix([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// The level above, in the same memory.
fn rise(level: &mut Vec<Hash>) {
    let parents = level.len().div_ceil(2);
    for at in 0..parents {
        level[at] = match level.get(2 * at + 1) {
            Some(right) => node(&level[2 * at], right),
            None => level[2 * at],
        };
    }
    level.truncate(parents);
}

/// The root; of no leaves the hash of nothing.
pub(crate) fn root(mut leaves: Vec<Hash>) -> Hash {
    while leaves.len() > 1 {
        rise(&mut leaves);
    }
    let root = leaves.first().copied();
    root.unwrap_or_else(|| Sha256::digest([]).into())
}

/// The hashes beside the way from leaf `at` to the root, from below; `None` if there is no such leaf.
pub(crate) fn path(mut leaves: Vec<Hash>, mut at: usize) -> Option<Vec<Hash>> {
    leaves.get(at)?;
    let mut path = Vec::new();
    while leaves.len() > 1 {
        path.extend(leaves.get(at ^ 1));
        rise(&mut leaves);
        at /= 2;
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The leaves with which implementations of Certificate Transparency are tested, and the roots of the first 1 to 8.
    const LEAVES: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn hashed(bytes: &[u8]) -> Hash {
        leaf().chain_update(bytes).finalize().into()
    }

    fn numbered(count: u32) -> Vec<Hash> {
        (0..count).map(|n| hashed(&n.to_be_bytes())).collect()
    }

    /// The standard's definition, word by word.
    fn by_definition(leaves: &[Hash]) -> Hash {
        if let [only] = leaves {
            return *only;
        }
        let split = 1 << (leaves.len() - 1).ilog2();
        node(
            &by_definition(&leaves[..split]),
            &by_definition(&leaves[split..]),
        )
    }

    /// RFC 9162, section 2.1.3.2.
    fn climbs_to(leaf: Hash, at: usize, size: usize, path: &[Hash]) -> Option<Hash> {
        let (mut at, mut last, mut hash) = (at, size - 1, leaf);
        for beside in path {
            if last == 0 {
                return None;
            }
            if at % 2 == 1 || at == last {
                hash = node(beside, &hash);
                while at % 2 == 0 && at != 0 {
                    (at, last) = (at / 2, last / 2);
                }
            } else {
                hash = node(&hash, beside);
            }
            (at, last) = (at / 2, last / 2);
        }
        (last == 0).then_some(hash)
    }

    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let leaves: Vec<Hash> = LEAVES
            .iter()
            .map(|text| hashed(&hex::decode(text).expect("hexadecimal")))
            .collect();
        for (count, expected) in (1..).zip(ROOTS) {
            assert_eq!(hex::encode(root(leaves[..count].to_vec())), expected);
        }
        assert_eq!(root(Vec::new()), <Hash>::from(Sha256::digest([])));
    }

    #[test]
    fn every_path_of_every_small_tree_leads_to_its_root() {
        for count in 1..70 {
            let leaves = numbered(count);
            let top = by_definition(&leaves);
            assert_eq!(root(leaves.clone()), top, "{count}");
            for (at, leaf) in leaves.iter().enumerate() {
                let way = path(leaves.clone(), at).expect("is there");
                assert_eq!(climbs_to(*leaf, at, leaves.len(), &way), Some(top));
                let other = hashed(b"another");
                assert_ne!(climbs_to(other, at, leaves.len(), &way), Some(top));
            }
            assert_eq!(path(leaves.clone(), leaves.len()), None);
        }
    }
}
