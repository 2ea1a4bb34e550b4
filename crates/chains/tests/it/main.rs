//! The official vectors, counted, and an independent implementation.

mod independent;
mod vectors;
