//! The real binary, from outside: its commands, its service over HTTP, crashes, durability, the page.
//!
//! One binary for all of it, so that it is linked once. Tests that need real data find them through
//! `WATCHTOWER_DATA`; what a machine lacks (data, a C compiler, a browser) skips a test with a word, except
//! where `CI` is `true`: there it fails.

mod browser;
mod cdp;
mod cli;
mod common;
mod crash;
mod durability;
mod hostile;
mod page;
mod service;
