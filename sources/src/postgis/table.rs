//! The table: its name, its schema, and the statements that read and mark it.

use std::fmt;

#[cfg(feature = "postgis")]
use crate::MAX_RECORD_BYTES;

/// On which notifications come.
#[cfg(feature = "postgis")]
pub(super) const CHANNEL: &str = "watchtower_fences";
/// The trigger and its function.
pub(super) const TRIGGER: &str = "watchtower_notify";
/// What geometries can be fences.
pub(super) const KINDS: [&str; 4] = ["ST_Point", "ST_LineString", "ST_Polygon", "ST_MultiPolygon"];
/// Columns that mean something for a fence, besides `id` and `geom`. A table may lack any of them.
const SETTINGS: [&str; 13] = [
    "name",
    "radius_m",
    "width_m",
    "exit_buffer_m",
    "min_dwell_s",
    "max_absence_s",
    "alert",
    "crossed",
    "speed_limit_kmh",
    "active",
    "active_zone",
    "valid_from",
    "valid_to",
];
/// Columns that are written.
const MARKS: [&str; 3] = ["watchtower_error", "watchtower_tick", "watchtower_accepted_at"];
/// A position has 16 bytes there and at least 6 as text: what is larger than this is no record for sure.
#[cfg(feature = "postgis")]
const MAX_GEOMETRY_BYTES: usize = 3 * MAX_RECORD_BYTES;

/// The name of a table, with or without its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    schema: Option<String>,
    table: String,
}

impl TableName {
    /// Reads `schema.table` or `table`, as they are spelled in the database, without quotes.
    pub fn parse(text: &str) -> Result<TableName, String> {
        let (schema, table) = match text.split_once('.') {
            Some((schema, table)) => (Some(schema.to_owned()), table.to_owned()),
            None => (None, text.to_owned()),
        };
        let is_name = |name: &String| {
            !name.is_empty() && name.len() < 64 && !name.contains(['\0', '"', '.']) && name.trim() == name
        };
        if schema.iter().chain([&table]).all(is_name) {
            return Ok(TableName { schema, table });
        }
        Err(format!("{text:?} is no name of a table; write for example watchtower_gis.fences"))
    }

    /// The name in a statement.
    #[must_use]
    pub fn quoted(&self) -> String {
        match &self.schema {
            Some(schema) => format!("\"{schema}\".\"{}\"", self.table),
            None => format!("\"{}\"", self.table),
        }
    }

    fn quoted_schema(&self) -> String {
        format!("\"{}\"", self.schema.as_deref().unwrap_or("public"))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.table),
            None => f.write_str(&self.table),
        }
    }
}

/// What makes the table and its trigger, where they are not there.
#[must_use]
pub fn schema_sql(name: &TableName) -> String {
    let columns: Vec<String> =
        ["id", "geom"].into_iter().chain(SETTINGS).chain(MARKS).map(str::to_owned).collect();
    format!("{}{}", table_sql(name), trigger_sql(name, &columns))
}

pub(super) fn table_sql(name: &TableName) -> String {
    include_str!("schema.sql")
        .replace("{schema}", &name.quoted_schema())
        .replace("{table}", &name.quoted())
        .replace("{index}", &format!("\"{}_geom\"", name.table))
}

/// What tells of changes, but not of those of the columns that are written here.
pub(super) fn trigger_sql(name: &TableName, columns: &[String]) -> String {
    let watched: Vec<&str> = ["id", "geom"]
        .into_iter()
        .chain(SETTINGS)
        .filter(|column| columns.iter().any(|known| known == column))
        .collect();
    let (schema, table, watched) = (name.quoted_schema(), name.quoted(), watched.join(", "));
    format!(
        "CREATE OR REPLACE FUNCTION {schema}.{TRIGGER}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('watchtower_fences', TG_TABLE_NAME);
    RETURN NULL;
END
$$;
CREATE TRIGGER {TRIGGER}
    AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF {watched}
    ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {schema}.{TRIGGER}();
"
    )
}

/// The statements for a table of these columns.
#[cfg(feature = "postgis")]
#[derive(Clone, Debug)]
pub(super) struct Statements {
    /// All ids, what tells one state of a row from another, and the size of its geometry.
    pub digests: String,
    /// Some rows in full.
    pub rows: String,
    /// Writes reasons, ticks and when; `None` where the table has no such columns.
    pub mark: Option<String>,
}

#[cfg(feature = "postgis")]
impl Statements {
    pub fn new(name: &TableName, columns: &[String], max_rows: usize) -> Result<Statements, String> {
        let has = |column: &str| columns.iter().any(|known| known == column);
        if let Some(missing) = ["id", "geom"].into_iter().find(|column| !has(column)) {
            return Err(format!("the table {name} has no column {missing}"));
        }
        let table = name.quoted();
        let settings: Vec<&str> = SETTINGS.into_iter().filter(|column| has(column)).collect();
        let state: Vec<String> =
            ["geom"].iter().chain(&settings).map(|column| format!("t.{column}")).collect();
        let digest = format!("hashtextextended(ROW({})::text, 0)", state.join(", "));
        let members =
            settings.iter().map(|column| format!("'{column}', t.{column}")).collect::<Vec<_>>().join(", ");
        let kinds = KINDS.map(|kind| format!("'{kind}'")).join(", ");
        let noted = |column: &str, kind: &str| {
            if has(column) { format!("t.{column}::{kind}") } else { format!("NULL::{kind}") }
        };
        let digests = format!(
            "SELECT t.id::text, {digest}, coalesce(ST_MemSize(t.geom), 0)::bigint \
             FROM {table} AS t WHERE t.id IS NOT NULL LIMIT {}",
            max_rows + 1
        );
        let rows = format!(
            "SELECT t.id::text, ST_GeometryType(t.geom), coalesce(ST_SRID(t.geom), 0), \
             coalesce(ST_IsEmpty(t.geom), true), coalesce(ST_NPoints(t.geom), 0), \
             CASE WHEN ST_GeometryType(t.geom) IN ({kinds}) AND NOT ST_IsEmpty(t.geom) \
             AND ST_SRID(t.geom) = 4326 AND ST_MemSize(t.geom) <= {MAX_GEOMETRY_BYTES} \
             THEN ST_AsGeoJSON(ST_Force2D(t.geom), 15, 0) END, \
             jsonb_strip_nulls(jsonb_build_object({members}))::text, {}, {}, {digest} \
             FROM {table} AS t WHERE t.id::text = ANY($1)",
            noted("watchtower_error", "text"),
            noted("watchtower_tick", "bigint"),
        );
        let mark = MARKS.into_iter().all(has).then(|| {
            format!(
                "UPDATE {table} AS t SET watchtower_error = m.error, watchtower_tick = m.tick, \
                 watchtower_accepted_at = CASE WHEN m.error IS NULL THEN now() ELSE t.watchtower_accepted_at END \
                 FROM unnest($1::text[], $2::text[], $3::bigint[]) AS m (id, error, tick) WHERE t.id::text = m.id"
            )
        });
        Ok(Statements { digests, rows, mark })
    }
}
