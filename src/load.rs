//! `watchtower simulate` and `watchtower send`.

use anyhow::Context;
use model::TimeMs;
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
    let limits = [
        ("--hours", args.hours, 1e-3, 87_660.0),
        ("--vehicles", f64::from(args.vehicles), 1.0, 1e7),
        ("--fences", f64::from(args.fences), 0.0, 1e6),
    ];
    for (name, value, least, most) in limits {
        if !(least..=most).contains(&value) {
            return Err(Usage(format!("{name} is {value}; it may be from {least} to {most}")).into());
        }
    }
    let end = args.start.plus_ms((args.hours * 3_600_000.0) as i64);
    if args.start < TimeMs::EARLIEST_EVENT || end > TimeMs::LATEST_EVENT {
        let text = format!("--start {}: a simulation lies between 2000 and 2100", args.start);
        return Err(Usage(text).into());
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
    if args.batch == 0 || args.connections == 0 {
        return Err(Usage("--batch and --connections must be at least 1".to_owned()).into());
    }
    if args.rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
        return Err(Usage("--rate must be a positive number of records a second".to_owned()).into());
    }
    if !args.to.starts_with("http://") {
        let text = format!("--to {}: write http://HOST:PORT; TLS is a proxy's", args.to);
        return Err(Usage(text).into());
    }
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
    let nothing_taken = report.acknowledged == 0 && report.refused > 0;
    Ok(if report.cut_short.is_some() || nothing_taken { Outcome::Failed } else { Outcome::Done })
}
