//! `cargo xtask lint`: everything that is judged without running the product.

use std::path::Path;

use crate::rules;
use crate::steps::{FEATURES, Steps, cargo, check, resolving};

pub fn run(root: &Path) -> anyhow::Result<()> {
    let mut steps = Steps::new("lint");
    // The quickest first: what fails in a second should not wait for a build.
    steps.run("house rules", || rules::check(root));
    steps.run("format", || {
        check(cargo(root).args(["fmt", "--all", "--check"]), "run `cargo fmt --all` and look at what it did")
    });
    steps.run("clippy", || {
        let clippy = ["--workspace", "--all-targets", "--features", FEATURES, "--", "-D", "warnings"];
        check(resolving(root, "clippy").args(clippy), "mend what clippy names above")
    });
    steps.run("documentation", || {
        let doc = ["--workspace", "--no-deps", "--features", FEATURES];
        let flags = std::env::var("RUSTDOCFLAGS").unwrap_or_default();
        let flags = format!("{flags} -D warnings");
        check(
            resolving(root, "doc").args(doc).env("RUSTDOCFLAGS", flags.trim()),
            "mend what rustdoc names above",
        )
    });
    steps.finish()
}
