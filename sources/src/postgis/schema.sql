-- The table of fences that people edit. Columns that begin with watchtower_ are written by Watch Tower.
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {table} (
    id text PRIMARY KEY,
    name text,
    geom geometry(Geometry, 4326),
    radius_m double precision,
    width_m double precision,
    exit_buffer_m double precision,
    min_dwell_s double precision,
    max_absence_s double precision,
    alert boolean,
    crossed boolean,
    speed_limit_kmh double precision,
    active text,
    active_zone text,
    valid_from timestamptz,
    valid_to timestamptz,
    watchtower_error text,
    watchtower_tick bigint,
    watchtower_accepted_at timestamptz
);
CREATE INDEX IF NOT EXISTS {index} ON {table} USING gist (geom);
