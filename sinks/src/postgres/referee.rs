//! PostGIS as a referee: which positions are in which shapes, and how far from them, by its own computation.
//!
//! Shapes and positions go into tables of the session; nothing of the database is touched. Edges are cut into
//! stretches that are straight in degrees, since a `geography` takes them for great circles
//! (docs/decisions/0019-postgis-as-a-referee.md).

use anyhow::Context;
use model::{Coord, Ring, Shape, UNITS_PER_DEGREE};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};

use super::PostgresConfig;
use super::waiting::Waiting;

/// Positions are asked about so many at a time.
const FIXES_A_QUESTION: usize = 5_000;
/// A degree of latitude has at least so many metres.
const METRES_A_DEGREE: f64 = 110_500.0;
/// What is asked about besides: so far beyond a shape's reach, metres.
const MARGIN_M: f64 = 5.0;
/// Nearer to a pole than this, shapes are not asked about.
const FARTHEST_LAT: f64 = 85.0;

const TABLES: &str = "
CREATE TEMP TABLE referee_shapes (shape int, kind text, extent_m float8, area geometry, line geography, near geometry);
CREATE TEMP TABLE referee_fixes (fix int, at geometry)";
const ADD_SHAPE: &str = "
INSERT INTO referee_shapes
SELECT $1, $2, $3, area, CASE $2 WHEN 'polygon' THEN ST_Boundary(ST_Segmentize(area, 0.0009))::geography
    ELSE ST_Segmentize(area, 0.0009)::geography END, ST_MakeEnvelope($5, $6, $7, $8, 4326)
FROM (SELECT ST_GeomFromText($4, 4326) AS area) AS told
WHERE $2 <> 'polygon' OR ST_IsValid(area)";
const ADD_FIXES: &str = "
INSERT INTO referee_fixes
SELECT fix, ST_SetSRID(ST_MakePoint(lon, lat), 4326) FROM unnest($1::int[], $2::float8[], $3::float8[]) AS t (fix, lon, lat)";
const ASK: &str = "
SELECT fix, shape,
    CASE kind WHEN 'polygon' THEN ST_Covers(area, at) ELSE ST_DWithin(line, at::geography, extent_m) END,
    ST_Distance(line, at::geography) - extent_m
FROM referee_fixes JOIN referee_shapes ON near && at";

/// What is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Where.
    pub shape: &'a Shape,
    /// How far beyond it positions are of interest, metres.
    pub reach_m: f64,
}

/// What PostGIS says of a position and a shape that is not far from it.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Place of the position among those that were asked about.
    pub fix: usize,
    /// Place of the shape.
    pub shape: usize,
    /// Whether the position is inside, the boundary included.
    pub is_inside: bool,
    /// How far the position is from the border, metres.
    pub from_border_m: f64,
}

/// Asks about all positions, and gives answers as they come, ordered by nothing; positions and shapes of which there is
/// none are far apart. Tells which shapes PostGIS takes for valid and can judge.
pub fn ask(
    config: &PostgresConfig,
    questions: &[Question<'_>],
    fixes: &[Coord],
    take: &mut dyn FnMut(Answer),
    progress: &mut dyn FnMut(usize),
) -> anyhow::Result<Vec<bool>> {
    let waiting = Waiting::new(config.timeout)?;
    let context = || format!("PostGIS at {} could not be asked", config.target());
    waiting.until_done(ask_all(config, questions, fixes, take, progress)).with_context(context)
}

async fn ask_all(
    config: &PostgresConfig,
    questions: &[Question<'_>],
    fixes: &[Coord],
    take: &mut dyn FnMut(Answer),
    progress: &mut dyn FnMut(usize),
) -> anyhow::Result<Vec<bool>> {
    let mut connection = PgConnection::connect_with(&config.options).await?;
    sqlx::raw_sql(TABLES).execute(&mut connection).await?;
    let mut is_judged = vec![false; questions.len()];
    for (number, question) in questions.iter().enumerate() {
        let Some(told) = Told::of(question) else { continue };
        let [west, south, east, north] = told.near;
        let add = sqlx::query(ADD_SHAPE).bind(i32::try_from(number)?).bind(told.kind).bind(told.extent_m);
        let add = add.bind(told.wkt).bind(west).bind(south).bind(east).bind(north);
        is_judged[number] = add.execute(&mut connection).await?.rows_affected() == 1;
    }
    sqlx::raw_sql("CREATE INDEX ON referee_shapes USING gist (near); ANALYZE referee_shapes")
        .execute(&mut connection)
        .await?;
    for (piece, chunk) in fixes.chunks(FIXES_A_QUESTION).enumerate() {
        let first = piece * FIXES_A_QUESTION;
        let numbers: Vec<i32> = (first..first + chunk.len()).map(i32::try_from).collect::<Result<_, _>>()?;
        let lons: Vec<f64> = chunk.iter().map(|at| at.lon_degrees()).collect();
        let lats: Vec<f64> = chunk.iter().map(|at| at.lat_degrees()).collect();
        sqlx::query("TRUNCATE referee_fixes").execute(&mut connection).await?;
        sqlx::query(ADD_FIXES).bind(numbers).bind(lons).bind(lats).execute(&mut connection).await?;
        for row in sqlx::query(ASK).fetch_all(&mut connection).await? {
            let place =
                |column: usize| row.try_get::<i32, _>(column).map(|place| place.unsigned_abs() as usize);
            take(Answer {
                fix: place(0)?,
                shape: place(1)?,
                is_inside: row.try_get(2)?,
                from_border_m: row.try_get::<f64, _>(3)?.abs(),
            });
        }
        progress(first + chunk.len());
    }
    connection.close().await?;
    Ok(is_judged)
}

/// A shape as PostGIS is told of it.
struct Told {
    kind: &'static str,
    extent_m: f64,
    wkt: String,
    /// West, south, east, north: positions elsewhere are far from it, degrees.
    near: [f64; 4],
}

impl Told {
    /// `None` for what has no referee: beyond the antimeridian, and at the poles.
    fn of(question: &Question<'_>) -> Option<Told> {
        let (kind, extent_m, wkt, vertices) = match question.shape {
            Shape::Circle { centre, radius_m } => {
                let vertex = (i64::from(centre.lon), i64::from(centre.lat));
                ("circle", *radius_m, format!("POINT{}", positions(&[vertex])), vec![vertex])
            }
            Shape::Corridor { line, width_m } => {
                let wkt = format!("LINESTRING{}", positions(&line.vertices));
                ("corridor", width_m / 2.0, wkt, line.vertices.clone())
            }
            Shape::Polygon { parts } => {
                let ring = |ring: &Ring| positions(&ring.vertices);
                let part =
                    |rings: &Vec<Ring>| format!("({})", rings.iter().map(ring).collect::<Vec<_>>().join(","));
                let wkt = format!("MULTIPOLYGON({})", parts.iter().map(part).collect::<Vec<_>>().join(","));
                let vertices = parts.iter().flatten().flat_map(|ring| ring.vertices.iter().copied());
                ("polygon", 0.0, wkt, vertices.collect())
            }
        };
        let beyond_m = extent_m + question.reach_m + MARGIN_M;
        let near = around(&vertices, beyond_m)?;
        Some(Told { kind, extent_m, wkt, near })
    }
}

/// The rectangle around positions, with so many metres more on each side.
fn around(vertices: &[(i64, i64)], beyond_m: f64) -> Option<[f64; 4]> {
    let degrees = |units: i64| units as f64 / UNITS_PER_DEGREE as f64;
    let range = |of: fn(&(i64, i64)) -> i64| {
        Some((degrees(vertices.iter().map(of).min()?), degrees(vertices.iter().map(of).max()?)))
    };
    let ((west, east), (south, north)) = (range(|vertex| vertex.0)?, range(|vertex| vertex.1)?);
    let beyond_lat = beyond_m / METRES_A_DEGREE;
    let (south, north) = (south - beyond_lat, north + beyond_lat);
    let farthest_lat = north.abs().max(south.abs());
    if farthest_lat > FARTHEST_LAT {
        return None;
    }
    let beyond_lon = beyond_lat / farthest_lat.to_radians().cos();
    let (west, east) = (west - beyond_lon, east + beyond_lon);
    (west >= -180.0 && east <= 180.0).then_some([west, south, east, north])
}

fn positions(vertices: &[(i64, i64)]) -> String {
    let position = |&(lon, lat): &(i64, i64)| format!("{} {}", decimal(lon), decimal(lat));
    format!("({})", vertices.iter().map(position).collect::<Vec<_>>().join(","))
}

/// The decimal number itself, all seven places of it.
fn decimal(units: i64) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let (units, per_degree) = (units.unsigned_abs(), UNITS_PER_DEGREE.unsigned_abs());
    format!("{sign}{}.{:07}", units / per_degree, units % per_degree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_told_in_decimals_with_what_is_near() {
        let circle = |lon, lat, radius_m| Shape::Circle { centre: Coord { lon, lat }, radius_m };
        let told = |shape: &Shape| Told::of(&Question { shape, reach_m: 30.0 });
        let shape = circle(-5, 600_000_000, 1_000.0);
        let Told { kind, extent_m, wkt, near } = told(&shape).unwrap();
        assert_eq!((kind, extent_m, wkt.as_str()), ("circle", 1_000.0, "POINT(-0.0000005 60.0000000)"));
        // At 60 degrees a degree of longitude is half as long.
        assert!((near[3] - 60.00937).abs() < 1e-4 && (near[2] - 0.0187).abs() < 1e-3, "{near:?}");
        assert!(told(&circle(1_799_999_000, 0, 1_000.0)).is_none(), "beyond the antimeridian");
        assert!(told(&circle(0, 899_000_000, 1.0)).is_none(), "at the pole");
    }
}
