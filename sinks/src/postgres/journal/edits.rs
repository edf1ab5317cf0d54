//! Edits of fences and master data as statements, one after the other: they are few.

use model::{Fence, Shape, TimeMs};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

use super::records::Edit;
use crate::postgres::types::PgTime;

/// Each entry ends at its own end, or where the next one begins.
const MEND_TIMELINE: &str = "
UPDATE watchtower.fence_timeline AS t SET valid_to = least(t.own_valid_to, n.next_from)
FROM (SELECT valid_from, lead(valid_from, 1, 'infinity') OVER (ORDER BY valid_from) AS next_from
      FROM watchtower.fence_timeline WHERE fence_id = $1) AS n
WHERE t.fence_id = $1 AND t.valid_from = n.valid_from AND t.valid_to IS DISTINCT FROM least(t.own_valid_to, n.next_from)";

/// Writes an edit.
pub(super) async fn write(connection: &mut PgConnection, tick: u64, edit: &Edit) -> sqlx::Result<()> {
    match edit {
        Edit::FenceUpsert(fence) => upsert_fence(connection, tick, fence).await,
        Edit::FenceDelete { id, at } => delete_fence(connection, tick, id, *at).await,
        Edit::Upsert { table, id, body } => {
            let (name, key) = (table.name, table.key);
            let sql = format!(
                "INSERT INTO watchtower.{name} ({key}, body, tick) VALUES ($1, $2::jsonb, $3) \
                 ON CONFLICT ({key}) DO UPDATE SET body = excluded.body, tick = excluded.tick"
            );
            let query = sqlx::query(AssertSqlSafe(sql)).bind(id).bind(body).bind(tick.cast_signed());
            query.execute(connection).await.map(drop)
        }
        Edit::Delete { table, id } => {
            let sql = format!("DELETE FROM watchtower.{} WHERE {} = $1", table.name, table.key);
            sqlx::query(AssertSqlSafe(sql)).bind(id).execute(connection).await.map(drop)
        }
        Edit::Assignment { driver_id, vehicle_id, from, to } => {
            let sql = "INSERT INTO watchtower.assignments (driver_id, vehicle_id, from_time, to_time, tick) \
                       VALUES ($1, $2, $3, $4, $5) ON CONFLICT (driver_id, vehicle_id, from_time) \
                       DO UPDATE SET to_time = excluded.to_time, tick = excluded.tick";
            let query = sqlx::query(sql).bind(driver_id).bind(vehicle_id).bind(PgTime(*from));
            query.bind(to.map(PgTime)).bind(tick.cast_signed()).execute(connection).await.map(drop)
        }
    }
}

async fn upsert_fence(connection: &mut PgConnection, tick: u64, fence: &Fence) -> sqlx::Result<()> {
    if fence.valid_from.is_none() {
        // A correction: it is so for all time.
        let sql = "DELETE FROM watchtower.fence_timeline WHERE fence_id = $1";
        sqlx::query(sql).bind(&*fence.id).execute(&mut *connection).await?;
    }
    let (radius_m, width_m) = match &fence.shape {
        Shape::Circle { radius_m, .. } => (Some(*radius_m), None),
        Shape::Corridor { width_m, .. } => (None, Some(*width_m)),
        Shape::Polygon { .. } => (None, None),
    };
    let seconds = |ms: Option<i64>| ms.map(|ms| ms as f64 / 1000.0);
    let settings = &fence.settings;
    let sql = "INSERT INTO watchtower.fence_timeline (fence_id, valid_from, valid_to, own_valid_to, name, radius_m, \
               width_m, exit_buffer_m, min_dwell_s, max_absence_s, alert, crossed, speed_limit_kmh, feature, tick) \
               VALUES ($1, coalesce($2, '-infinity'::timestamptz), 'infinity', coalesce($3, 'infinity'::timestamptz), \
               $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::jsonb, $14) \
               ON CONFLICT (fence_id, valid_from) DO UPDATE SET own_valid_to = excluded.own_valid_to, \
               name = excluded.name, radius_m = excluded.radius_m, width_m = excluded.width_m, \
               exit_buffer_m = excluded.exit_buffer_m, min_dwell_s = excluded.min_dwell_s, \
               max_absence_s = excluded.max_absence_s, alert = excluded.alert, crossed = excluded.crossed, \
               speed_limit_kmh = excluded.speed_limit_kmh, feature = excluded.feature, tick = excluded.tick";
    let query = sqlx::query(sql)
        .bind(&*fence.id)
        .bind(fence.valid_from.map(PgTime))
        .bind(fence.valid_to.map(PgTime))
        .bind(&*fence.name)
        .bind(radius_m)
        .bind(width_m)
        .bind(settings.exit_buffer_m)
        .bind(seconds(settings.min_dwell_ms))
        .bind(seconds(settings.max_absence_ms))
        .bind(settings.alert)
        .bind(settings.crossed)
        .bind(settings.speed_limit_kmh)
        .bind(&*fence.feature_json)
        .bind(tick.cast_signed());
    query.execute(&mut *connection).await?;
    mend(connection, &fence.id).await
}

async fn delete_fence(connection: &mut PgConnection, tick: u64, id: &str, at: TimeMs) -> sqlx::Result<()> {
    let sql = "SELECT EXISTS (SELECT FROM watchtower.fence_timeline \
               WHERE fence_id = $1 AND feature IS NOT NULL AND valid_to >= $2)";
    let something_ends = sqlx::query_scalar(sql).bind(id).bind(PgTime(at));
    let something_ends: bool = something_ends.fetch_one(&mut *connection).await?;
    if !something_ends {
        return Ok(());
    }
    let sql = "DELETE FROM watchtower.fence_timeline \
               WHERE fence_id = $1 AND feature IS NOT NULL AND valid_from >= $2";
    sqlx::query(sql).bind(id).bind(PgTime(at)).execute(&mut *connection).await?;
    let sql = "INSERT INTO watchtower.fence_timeline (fence_id, valid_from, valid_to, own_valid_to, tick) \
               VALUES ($1, $2, 'infinity', 'infinity', $3) ON CONFLICT (fence_id, valid_from) DO NOTHING";
    let query = sqlx::query(sql).bind(id).bind(PgTime(at)).bind(tick.cast_signed());
    query.execute(&mut *connection).await?;
    mend(connection, id).await
}

async fn mend(connection: &mut PgConnection, fence_id: &str) -> sqlx::Result<()> {
    sqlx::query(MEND_TIMELINE).bind(fence_id).execute(connection).await.map(drop)
}
