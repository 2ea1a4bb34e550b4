//! The test rig itself, on a real node: the chain does what a test asks of it, the contracts do what is written
//! above them, and every lie of the lying node is really told.

mod chain;
mod contracts;
