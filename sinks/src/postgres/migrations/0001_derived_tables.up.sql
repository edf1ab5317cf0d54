-- Derived tables: the names and columns of docs/postgres.md. Text keys sort by their bytes, as everywhere.
-- tick, cause and cause_seq are those of a row's last change: when, what it came of, and the record that brought it.

CREATE TABLE watchtower.as_of (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    tick bigint NOT NULL,
    instant timestamptz NOT NULL,
    -- The changelog that the rows came from; null before the first batch.
    journal text,
    -- Who may write: the newest start. Each start counts it up.
    epoch bigint NOT NULL
);
COMMENT ON TABLE watchtower.as_of IS 'The tick that all tables are exact for: read it in the same REPEATABLE READ transaction.';
INSERT INTO watchtower.as_of (tick, instant, epoch) VALUES (0, 'epoch', 0);

CREATE TABLE watchtower.presences (
    vehicle_id text COLLATE "C" NOT NULL,
    fence_id text COLLATE "C" NOT NULL,
    entered timestamptz NOT NULL,
    exited timestamptz,
    end_reason text,
    tick bigint NOT NULL,
    cause text,
    cause_seq bigint,
    PRIMARY KEY (vehicle_id, fence_id, entered)
);

CREATE TABLE watchtower.visits (
    vehicle_id text COLLATE "C" NOT NULL,
    fence_id text COLLATE "C" NOT NULL,
    arrived timestamptz NOT NULL,
    departed timestamptz,
    confirmed_at timestamptz NOT NULL,
    presences bigint NOT NULL,
    tick bigint NOT NULL,
    cause text,
    cause_seq bigint,
    PRIMARY KEY (vehicle_id, fence_id, arrived)
);

CREATE TABLE watchtower.crossings (
    vehicle_id text COLLATE "C" NOT NULL,
    fence_id text COLLATE "C" NOT NULL,
    from_time timestamptz NOT NULL,
    to_time timestamptz NOT NULL,
    at timestamptz NOT NULL,
    tick bigint NOT NULL,
    cause text,
    cause_seq bigint,
    PRIMARY KEY (vehicle_id, fence_id, from_time)
);

CREATE TABLE watchtower.trips (
    trip_id text COLLATE "C" PRIMARY KEY,
    vehicle_id text NOT NULL,
    phase text NOT NULL,
    status text NOT NULL,
    status_by text NOT NULL,
    pickup_arrival timestamptz,
    actual_departure timestamptz,
    arrival timestamptz,
    offload timestamptz,
    tat_s bigint,
    distance_m bigint,
    departure_unobserved boolean NOT NULL,
    -- Of trips that nobody planned.
    source text,
    pickup text,
    delivery text,
    tick bigint NOT NULL,
    cause text,
    cause_seq bigint
);

CREATE TABLE watchtower.etas (
    trip_id text COLLATE "C" PRIMARY KEY,
    eta timestamptz NOT NULL,
    eta_low timestamptz NOT NULL,
    eta_high timestamptz NOT NULL,
    tick bigint NOT NULL,
    cause text,
    cause_seq bigint
);

CREATE TABLE watchtower.alerts (
    alert_id text COLLATE "C" PRIMARY KEY,
    kind text NOT NULL,
    severity text NOT NULL,
    vehicle_id text NOT NULL,
    fence_id text,
    trip_id text,
    started timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    ended timestamptz,
    -- The very bytes of the row, which jsonb does not keep.
    details_text text NOT NULL,
    details jsonb NOT NULL GENERATED ALWAYS AS (details_text::jsonb) STORED,
    tick bigint NOT NULL,
    cause text,
    cause_seq bigint
);
CREATE INDEX alerts_started ON watchtower.alerts (started);

CREATE TABLE watchtower.kpis (
    span text COLLATE "C" NOT NULL,
    start timestamptz,
    slice text COLLATE "C" NOT NULL,
    slice_id text COLLATE "C" NOT NULL,
    metric text COLLATE "C" NOT NULL,
    value bigint NOT NULL,
    final boolean NOT NULL,
    -- start is part of the key of days and weeks only: rolling windows move.
    start_key timestamptz NOT NULL GENERATED ALWAYS AS (
        CASE WHEN span IN ('day', 'week') THEN coalesce(start, '-infinity'::timestamptz) ELSE '-infinity'::timestamptz END
    ) STORED,
    tick bigint NOT NULL,
    cause text,
    cause_seq bigint,
    PRIMARY KEY (span, start_key, slice, slice_id, metric)
);

CREATE TABLE watchtower.rejects (
    -- The record that is rejected.
    seq bigint PRIMARY KEY,
    vehicle_id text,
    event_time timestamptz,
    reason text NOT NULL,
    used boolean NOT NULL,
    tick bigint NOT NULL,
    cause text,
    cause_seq bigint
);

-- What corrected rows were before.
CREATE TABLE watchtower.history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name text NOT NULL,
    row jsonb NOT NULL,
    replaced_at_tick bigint NOT NULL,
    replaced_at timestamptz NOT NULL,
    cause text,
    cause_seq bigint
);
CREATE INDEX history_replaced_at ON watchtower.history (replaced_at);

-- Rows that this database refused for what they hold. They are in no table until they change.
CREATE TABLE watchtower.dead_letters (
    table_name text NOT NULL,
    row_key bytea NOT NULL,
    row text NOT NULL,
    reason text NOT NULL,
    tick bigint NOT NULL,
    cause text,
    cause_seq bigint,
    refused_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (table_name, row_key)
);
