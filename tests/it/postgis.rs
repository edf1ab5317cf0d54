//! PostGIS as a referee of the geometry: what is inside, how far it is, and which is nearest.
//!
//! The tables of what was compared: `cargo test --test it postgis:: -- --show-output`.
//!
//! Both sides are told the same decimal numbers. The areas are valid to PostGIS and do not cross the
//! antimeridian; circles and pairs of positions may.

mod areas;
mod distance;
mod exact;
mod geodesics;
mod points;
pub mod server;
mod shapes;
mod tally;
