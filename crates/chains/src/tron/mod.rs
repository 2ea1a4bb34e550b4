//! TRON: the EVM's 20 bytes behind the version byte 0x41, in base58check, `T…` with 34 characters.
//!
//! Only the main network's version byte is known here; the test networks Shasta and Nile use it too. The
//! hexadecimal form `41…` that some node calls speak is no address text.

pub mod address;
