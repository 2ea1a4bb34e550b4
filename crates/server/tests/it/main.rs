//! The server as its users meet it: real HTTP on loopback, a real SQLite file, the real `coffer-signer`.

mod access;
mod batches;
mod client;
mod events;
mod installation;
mod openapi;
mod organizations;
mod resilience;
mod service;
mod wallets;
