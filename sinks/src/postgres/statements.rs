//! The statements of the tables: rows go as one array a column.

use std::sync::LazyLock;

use model::Table;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{Arguments as _, Encode, Postgres, Row, Type};

use super::cells::Cell;
use super::changes::{Replaced, RowWrite};
use super::tables::{Kind, columns};
use super::types::PgTime;

/// One statement's worth of writing.
#[derive(Clone, Copy)]
pub(crate) enum Statement<'a, 'r> {
    /// These rows stand now.
    Upsert(Table, &'a [RowWrite<'r>]),
    /// These rows stand, where none of their key does.
    Insert(Table, &'a [RowWrite<'r>]),
    /// No rows of these keys stand any more.
    Delete(Table, &'a [RowWrite<'r>]),
    /// These rows were corrected.
    Replaced(&'a [Replaced<'r>]),
}

impl Statement<'_, '_> {
    /// Two halves; `None` of a single row.
    pub fn halves(self) -> Option<[Self; 2]> {
        let split = |rows: usize| (rows > 1).then_some(rows / 2);
        Some(match self {
            Statement::Upsert(table, rows) => {
                let (a, b) = rows.split_at(split(rows.len())?);
                [Statement::Upsert(table, a), Statement::Upsert(table, b)]
            }
            Statement::Insert(table, rows) => {
                let (a, b) = rows.split_at(split(rows.len())?);
                [Statement::Insert(table, a), Statement::Insert(table, b)]
            }
            Statement::Delete(table, rows) => {
                let (a, b) = rows.split_at(split(rows.len())?);
                [Statement::Delete(table, a), Statement::Delete(table, b)]
            }
            Statement::Replaced(rows) => {
                let (a, b) = rows.split_at(split(rows.len())?);
                [Statement::Replaced(a), Statement::Replaced(b)]
            }
        })
    }

    /// Runs it, and says how many rows it wrote or removed.
    pub async fn run(self, connection: &mut PgConnection) -> sqlx::Result<u64> {
        let query = match self {
            Statement::Upsert(table, rows) => bind_all(&sql(table).upsert, table, rows)?,
            Statement::Insert(table, rows) => bind_all(&sql(table).insert, table, rows)?,
            Statement::Delete(table, rows) => {
                sqlx::query_with(&*sql(table).delete, column_arrays(table, rows, is_of_key)?)
            }
            Statement::Replaced(rows) => bind_replaced(rows)?,
        };
        Ok(query.execute(connection).await?.rows_affected())
    }
}

struct TableSql {
    upsert: String,
    insert: String,
    delete: String,
}

static SQL: LazyLock<[TableSql; Table::ALL.len()]> = LazyLock::new(|| Table::ALL.map(table_sql));

fn sql(table: Table) -> &'static TableSql {
    // In the order of `Table::ALL`, which is that of the variants.
    &SQL[table as usize]
}

/// Whether a column is needed to tell the key. `start` is, where it is part of it.
fn is_of_key(table: Table, index: usize) -> bool {
    let column = &columns(table)[index];
    column.is_key || (table == Table::Kpis && column.field == "start")
}

fn table_sql(table: Table) -> TableSql {
    let name = table.as_str();
    let all = columns(table);
    let names: Vec<String> = all.iter().map(|column| column.name()).collect();
    let mut arrays: Vec<String> =
        (1..).zip(all).map(|(place, column)| format!("${place}::{}", column.kind.array_type())).collect();
    for (place, array_type) in (all.len() + 1..).zip(["bigint[]", "text[]", "bigint[]"]) {
        arrays.push(format!("${place}::{array_type}"));
    }
    let (names_text, arrays) = (names.join(", "), arrays.join(", "));
    let mut key: Vec<&str> = all.iter().filter(|column| column.is_key).map(|column| column.field).collect();
    if table == Table::Kpis {
        key.insert(1, "start_key");
    }
    let updates: Vec<String> = all
        .iter()
        .zip(&names)
        .filter(|(column, _)| !column.is_key)
        .map(|(_, name)| name.as_str())
        .chain(["tick", "cause", "cause_seq"])
        .map(|name| format!("{name} = excluded.{name}"))
        .collect();
    let insert = format!(
        "INSERT INTO watchtower.{name} ({names_text}, tick, cause, cause_seq) SELECT * FROM unnest({arrays}) \
         ON CONFLICT"
    );
    TableSql {
        upsert: format!("{insert} ({}) DO UPDATE SET {}", key.join(", "), updates.join(", ")),
        insert: format!("{insert} DO NOTHING"),
        delete: delete_sql(table, &key),
    }
}

fn delete_sql(table: Table, key: &[&str]) -> String {
    let given = columns(table).iter().enumerate().filter(|(index, _)| is_of_key(table, *index));
    let (fields, arrays): (Vec<&str>, Vec<String>) = (1..)
        .zip(given)
        .map(|(place, (_, column))| (column.field, format!("${place}::{}", column.kind.array_type())))
        .unzip();
    let matches: Vec<String> = key
        .iter()
        .map(|field| match *field {
            "start_key" => "rows.start_key = CASE WHEN gone.span IN ('day', 'week') \
                            THEN coalesce(gone.start, '-infinity') ELSE '-infinity' END"
                .to_owned(),
            field => format!("rows.{field} = gone.{field}"),
        })
        .collect();
    format!(
        "DELETE FROM watchtower.{} AS rows USING unnest({}) AS gone ({}) WHERE {}",
        table.as_str(),
        arrays.join(", "),
        fields.join(", "),
        matches.join(" AND ")
    )
}

type PgQuery = Query<'static, Postgres, PgArguments>;

fn bind_all(sql: &'static str, table: Table, rows: &[RowWrite<'_>]) -> sqlx::Result<PgQuery> {
    let mut arguments = column_arrays(table, rows, |_, _| true)?;
    add(&mut arguments, rows.iter().map(|row| row.tick.cast_signed()).collect::<Vec<i64>>())?;
    add(&mut arguments, rows.iter().map(|row| row.cause).collect::<Vec<Option<&str>>>())?;
    add(&mut arguments, rows.iter().map(|row| row.seq.map(u64::cast_signed)).collect::<Vec<Option<i64>>>())?;
    Ok(sqlx::query_with(sql, arguments))
}

/// An array of each column that is bound.
fn column_arrays(
    table: Table,
    rows: &[RowWrite<'_>],
    is_bound: impl Fn(Table, usize) -> bool,
) -> sqlx::Result<PgArguments> {
    let mut arguments = PgArguments::default();
    for (index, column) in columns(table).iter().enumerate().filter(|(index, _)| is_bound(table, *index)) {
        let cells = rows.iter().map(|row| row.cells.get(index).unwrap_or(&Cell::Null));
        match column.kind {
            Kind::Text | Kind::Json => {
                let values: Vec<Option<&str>> = cells.map(Cell::as_text).collect();
                add(&mut arguments, values)?;
            }
            Kind::Time => {
                let values: Vec<Option<PgTime>> = cells.map(|cell| cell.as_time().map(PgTime)).collect();
                add(&mut arguments, values)?;
            }
            Kind::Integer => {
                let values: Vec<Option<i64>> = cells.map(Cell::as_integer).collect();
                add(&mut arguments, values)?;
            }
            Kind::Bool => {
                let values: Vec<Option<bool>> = cells.map(Cell::as_bool).collect();
                add(&mut arguments, values)?;
            }
        }
    }
    Ok(arguments)
}

fn add<'t, T>(arguments: &mut PgArguments, value: T) -> sqlx::Result<()>
where
    T: Encode<'t, Postgres> + Type<Postgres>,
{
    arguments.add(value).map_err(sqlx::Error::Encode)
}

fn bind_replaced(rows: &[Replaced<'_>]) -> sqlx::Result<PgQuery> {
    let mut arguments = PgArguments::default();
    add(&mut arguments, rows.iter().map(|row| row.table.as_str()).collect::<Vec<&str>>())?;
    add(&mut arguments, rows.iter().map(|row| String::from_utf8_lossy(row.json)).collect::<Vec<_>>())?;
    add(&mut arguments, rows.iter().map(|row| row.tick.cast_signed()).collect::<Vec<i64>>())?;
    add(&mut arguments, rows.iter().map(|row| PgTime(row.instant)).collect::<Vec<_>>())?;
    add(&mut arguments, rows.iter().map(|row| row.cause).collect::<Vec<&str>>())?;
    add(&mut arguments, rows.iter().map(|row| row.seq.map(u64::cast_signed)).collect::<Vec<Option<i64>>>())?;
    Ok(sqlx::query_with(
        "INSERT INTO watchtower.history (table_name, row, replaced_at_tick, replaced_at, cause, cause_seq) \
         SELECT table_name, row::jsonb, tick, instant, cause, cause_seq \
         FROM unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[], $5::text[], $6::bigint[]) \
              AS replaced (table_name, row, tick, instant, cause, cause_seq)",
        arguments,
    ))
}

/// What reads all rows of a table, for [`read_cells`].
pub(crate) fn select_sql(table: Table) -> String {
    let names: Vec<String> = columns(table).iter().map(|column| column.name()).collect();
    format!("SELECT {} FROM watchtower.{}", names.join(", "), table.as_str())
}

/// The cells of a row that [`select_sql`] gave.
pub(crate) fn read_cells(table: Table, row: &PgRow) -> sqlx::Result<Vec<Cell<'static>>> {
    let cell = |index: usize, kind: Kind| {
        Ok(match kind {
            Kind::Text | Kind::Json => {
                row.try_get::<Option<String>, _>(index)?.map(|text| Cell::Text(text.into()))
            }
            Kind::Time => row.try_get::<Option<PgTime>, _>(index)?.map(|time| Cell::Time(time.0)),
            Kind::Integer => row.try_get::<Option<i64>, _>(index)?.map(Cell::Integer),
            Kind::Bool => row.try_get::<Option<bool>, _>(index)?.map(Cell::Bool),
        }
        .unwrap_or(Cell::Null))
    };
    columns(table).iter().enumerate().map(|(index, column)| cell(index, column.kind)).collect()
}
