use super::constants::{KECCAK, RIPEMD160, SHA2};

/// First and last of each table, as the standards print them.
#[test]
fn computed_constants_are_those_of_the_standards() {
    let ends = |words: &[u64]| (words[0], words[words.len() - 1]);
    assert_eq!(
        ends(&SHA2.rounds64),
        (0x428a_2f98_d728_ae22, 0x6c44_198c_4a47_5817)
    );
    assert_eq!(
        (SHA2.rounds32[0], SHA2.rounds32[63]),
        (0x428a_2f98, 0xc671_78f2)
    );
    assert_eq!(
        (SHA2.start32[0], SHA2.start32[7]),
        (0x6a09_e667, 0x5be0_cd19)
    );
    assert_eq!(ends(&KECCAK.rounds), (1, 0x8000_0000_8000_8008));
    assert_eq!(KECCAK.rotations[..5], [0, 1, 62, 28, 27]);
    assert_eq!(
        RIPEMD160.left.constants[1..],
        [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xa953_fd4e]
    );
    assert_eq!(
        RIPEMD160.right.constants[..4],
        [0x50a2_8be6, 0x5c4d_d124, 0x6d70_3ef3, 0x7a6d_76e9]
    );
    assert_eq!(
        RIPEMD160.right.order[4],
        [12, 15, 10, 4, 1, 5, 8, 7, 6, 2, 13, 14, 0, 3, 9, 11]
    );
    assert_eq!(
        RIPEMD160.left.rotations[4],
        [9, 15, 5, 11, 6, 8, 13, 12, 5, 12, 13, 14, 11, 8, 5, 6]
    );
}
