//! Asynchronous work, waited for by the sink's thread, and never for ever.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, anyhow};
use journal::{ReadError, StoreError};
use tokio::runtime::Runtime;

use super::writer::is_about_data;
use crate::live::SinkError;

/// Why a transaction did not become one.
#[derive(Debug)]
pub(crate) enum Failed {
    /// A row is refused for what it holds: it goes with more care.
    Data(sqlx::Error),
    /// Anything else.
    Sink(SinkError),
}

impl Failed {
    /// Whatever it is, it is for the driver to judge.
    pub fn into_sink_error(self) -> SinkError {
        match self {
            Failed::Data(error) => SinkError::Away(error.into()),
            Failed::Sink(error) => error,
        }
    }
}

impl Failed {
    /// What was said of a row that is refused for what it holds, its geometry too: by XX000 PostGIS tells of those that
    /// it can't work with.
    pub fn of_geometry(self) -> Result<String, Failed> {
        match self {
            Failed::Data(error) => Ok(error.to_string()),
            Failed::Sink(SinkError::Away(error)) if code_of(&error).as_deref() == Some("XX000") => {
                Ok(error.to_string())
            }
            other => Err(other),
        }
    }
}

fn code_of(error: &anyhow::Error) -> Option<String> {
    let said = error.downcast_ref::<sqlx::Error>()?.as_database_error()?;
    said.code().map(std::borrow::Cow::into_owned)
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Failed {
        if is_about_data(&error) { Failed::Data(error) } else { Failed::Sink(SinkError::Away(error.into())) }
    }
}

impl From<ReadError> for Failed {
    fn from(error: ReadError) -> Failed {
        Failed::Sink(error.into())
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Failed {
        Failed::Sink(error.into())
    }
}

/// Waits for asynchronous work.
pub(crate) struct Waiting {
    runtime: Runtime,
    timeout: Duration,
}

impl Waiting {
    pub fn new(timeout: Duration) -> anyhow::Result<Waiting> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Waiting { runtime: runtime.context("no runtime for a connection could be made")?, timeout })
    }

    /// Waits for an answer of the database.
    pub fn until<T>(&self, work: impl Future<Output = sqlx::Result<T>>) -> Result<T, Failed> {
        let answered = self.runtime.block_on(async { tokio::time::timeout(self.timeout, work).await });
        match answered {
            Ok(answer) => answer.map_err(Failed::from),
            Err(_) => {
                let error = anyhow!("the database did not answer within {} s", self.timeout.as_secs());
                Err(Failed::Sink(SinkError::Away(error)))
            }
        }
    }

    /// Waits for as long as it takes.
    pub fn until_done<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}
