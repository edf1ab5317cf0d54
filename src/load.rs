//! `watchtower simulate` and `watchtower send`.

use anyhow::Context;
use sources::files::FileError;

use crate::args::{SendArgs, SimulateArgs, load_config};
use crate::{Outcome, Usage, logging, progress};

/// Writes a simulated fleet.
pub fn simulate(args: &SimulateArgs) -> anyhow::Result<Outcome> {
    for (name, share) in [("--late", args.late), ("--duplicates", args.duplicates), ("--edits", args.edits)] {
        if !(0.0..=1.0).contains(&share) {
            return Err(Usage(format!("{name} is a share: a number from 0 to 1")).into());
        }
    }
    if !(args.hours > 0.0 && args.hours.is_finite()) {
        return Err(Usage("--hours must be a positive number".to_owned()).into());
    }
    let options = bench::simulate::Options {
        vehicles: args.vehicles,
        fences: args.fences,
        hours: args.hours,
        seed: args.seed,
        out: args.out.clone(),
        start: args.start,
        late: args.late,
        duplicates: args.duplicates,
        edits: args.edits,
        noise: args.noise,
    };
    let bar = progress::bar(0, progress::COUNT);
    let summary = bench::simulate::run(&options, &|done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    eprintln!("{summary}");
    Ok(Outcome::Done)
}

/// Posts a file to a service.
pub fn send(args: &SendArgs) -> anyhow::Result<Outcome> {
    let config = load_config(args.config.config.as_deref(), &args.config.set)?;
    logging::start(&config.log)?;
    let secret = match &config.sources.loconav.hmac_secret {
        Some(secret) => Some(secret.read().map_err(|e| Usage(format!("sources.loconav.hmac_secret: {e}")))?),
        None => None,
    };
    let options = bench::send::Options {
        file: args.file.clone(),
        to: args.to.clone(),
        rate: args.rate,
        batch: args.batch,
        connections: args.connections,
        secret,
        path: args.path.clone(),
    };
    let bar = progress::bar(0, progress::BYTES);
    let sent = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the async runtime could not be started")?
        .block_on(bench::send::run(&options, &|done, all| {
            bar.set_length(all);
            bar.set_position(done);
        }));
    bar.finish_and_clear();
    let report = match sent {
        Ok(report) => report,
        Err(error) => {
            let unusable = error.downcast_ref::<FileError>().is_some_and(|e| e.exit_code() == 2);
            return Err(if unusable { Usage(format!("{error:#}")).into() } else { error });
        }
    };
    println!("{report}");
    if let Some(error) = &report.cut_short {
        eprintln!("watchtower: {error}");
    }
    Ok(if report.cut_short.is_some() { Outcome::Failed } else { Outcome::Done })
}
