-- What the journal says besides: fences, master data and positions, with a cursor of their own; and who may see whose.

CREATE TABLE watchtower.journal_as_of (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    tick bigint NOT NULL,
    instant timestamptz NOT NULL,
    journal text,
    epoch bigint NOT NULL,
    -- Records up to and with that tick: the next one has the next seq.
    records bigint NOT NULL
);
COMMENT ON TABLE watchtower.journal_as_of IS 'The tick up to which fences, master data and positions are here.';
INSERT INTO watchtower.journal_as_of (tick, instant, epoch, records) VALUES (0, 'epoch', 0, 0);

-- Entries of fences' timelines: each holds up to valid_to. Without a feature the fence is deleted from valid_from on.
CREATE TABLE watchtower.fence_timeline (
    fence_id text COLLATE "C" NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz NOT NULL,
    -- What the fence itself says of its end.
    own_valid_to timestamptz NOT NULL,
    name text,
    radius_m double precision,
    width_m double precision,
    exit_buffer_m double precision,
    min_dwell_s double precision,
    max_absence_s double precision,
    alert boolean,
    crossed boolean,
    speed_limit_kmh double precision,
    feature jsonb,
    tick bigint NOT NULL,
    PRIMARY KEY (fence_id, valid_from)
);

CREATE TABLE watchtower.vehicles (
    vehicle_id text COLLATE "C" PRIMARY KEY,
    company text GENERATED ALWAYS AS (body ->> 'company') STORED,
    body jsonb NOT NULL,
    tick bigint NOT NULL
);
CREATE INDEX vehicles_company ON watchtower.vehicles (company);

CREATE TABLE watchtower.drivers (driver_id text COLLATE "C" PRIMARY KEY, body jsonb NOT NULL, tick bigint NOT NULL);

CREATE TABLE watchtower.organizations (
    organization_id text COLLATE "C" PRIMARY KEY,
    body jsonb NOT NULL,
    tick bigint NOT NULL
);

CREATE TABLE watchtower.locations (
    location_id text COLLATE "C" PRIMARY KEY,
    fence_id text GENERATED ALWAYS AS (body ->> 'fence_id') STORED,
    body jsonb NOT NULL,
    tick bigint NOT NULL
);

CREATE TABLE watchtower.trip_plans (
    trip_id text COLLATE "C" PRIMARY KEY,
    vehicle_id text GENERATED ALWAYS AS (body ->> 'vehicle_id') STORED,
    pickup text GENERATED ALWAYS AS (body ->> 'pickup') STORED,
    delivery text GENERATED ALWAYS AS (body ->> 'delivery') STORED,
    body jsonb NOT NULL,
    tick bigint NOT NULL
);

CREATE TABLE watchtower.assignments (
    driver_id text COLLATE "C" NOT NULL,
    vehicle_id text COLLATE "C" NOT NULL,
    from_time timestamptz NOT NULL,
    to_time timestamptz,
    tick bigint NOT NULL,
    PRIMARY KEY (driver_id, vehicle_id, from_time)
);

CREATE TABLE watchtower.positions (
    vehicle_id text COLLATE "C" NOT NULL,
    event_time timestamptz NOT NULL,
    lon double precision NOT NULL,
    lat double precision NOT NULL,
    speed_kmh double precision,
    heading double precision,
    ignition boolean,
    accuracy_m double precision,
    received_time timestamptz NOT NULL,
    seq bigint NOT NULL,
    -- Why it is not used, or not in full; null where it is good.
    flag text
) PARTITION BY RANGE (event_time);
CREATE INDEX positions_of_vehicle ON watchtower.positions (vehicle_id, event_time);
CREATE INDEX positions_event_time ON watchtower.positions USING brin (event_time);

-- Geometries, where PostGIS is there or may be made.
DO $$
BEGIN
    BEGIN
        -- Not where the search path begins: for a user named watchtower that is this schema.
        CREATE EXTENSION IF NOT EXISTS postgis SCHEMA public;
    EXCEPTION WHEN OTHERS THEN
        RAISE NOTICE 'PostGIS is not there: tables have no geometries (%)', SQLERRM;
    END;
    IF to_regtype('geography') IS NOT NULL THEN
        ALTER TABLE watchtower.positions ADD COLUMN position geography(Point, 4326)
            GENERATED ALWAYS AS (ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography) STORED;
        ALTER TABLE watchtower.fence_timeline
            ADD COLUMN geom geometry(Geometry, 4326)
            GENERATED ALWAYS AS (ST_SetSRID(ST_Force2D(ST_GeomFromGeoJSON(feature ->> 'geometry')), 4326)) STORED,
            ADD COLUMN geog geography(Geometry, 4326)
            GENERATED ALWAYS AS (ST_SetSRID(ST_Force2D(ST_GeomFromGeoJSON(feature ->> 'geometry')), 4326)::geography) STORED;
        CREATE INDEX fence_timeline_geom ON watchtower.fence_timeline USING gist (geom);
        CREATE INDEX fence_timeline_geog ON watchtower.fence_timeline USING gist (geog);
    END IF;
END
$$;

CREATE VIEW watchtower.fences AS SELECT * FROM watchtower.fence_timeline WHERE feature IS NOT NULL;

-- Whoever is a member of watchtower_org_reader sees the rows of vehicles of the company in watchtower.org_id alone.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'watchtower_org_reader') THEN
        CREATE ROLE watchtower_org_reader NOLOGIN;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'the role watchtower_org_reader is not made: CREATEROLE is missing';
    WHEN duplicate_object OR unique_violation THEN
        NULL;  -- Another database's migration made it meanwhile.
END
$$;

CREATE FUNCTION watchtower.sees_all() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (
        SELECT FROM pg_catalog.pg_roles
        WHERE rolname = 'watchtower_org_reader' AND pg_catalog.pg_has_role(current_user, oid, 'member')
    )
$$;

CREATE POLICY by_company ON watchtower.vehicles
    USING ((SELECT watchtower.sees_all()) OR company = current_setting('watchtower.org_id', true));
ALTER TABLE watchtower.vehicles ENABLE ROW LEVEL SECURITY;

DO $$
DECLARE
    of_vehicles text;
BEGIN
    FOREACH of_vehicles IN ARRAY ARRAY['presences', 'visits', 'crossings', 'trips', 'alerts', 'positions', 'trip_plans', 'assignments'] LOOP
        EXECUTE format(
            'CREATE POLICY by_company ON watchtower.%I USING ((SELECT watchtower.sees_all()) OR vehicle_id IN '
            '(SELECT v.vehicle_id FROM watchtower.vehicles AS v WHERE v.company = current_setting(''watchtower.org_id'', true)))',
            of_vehicles);
        EXECUTE format('ALTER TABLE watchtower.%I ENABLE ROW LEVEL SECURITY', of_vehicles);
    END LOOP;
    CREATE POLICY by_company ON watchtower.etas
        USING ((SELECT watchtower.sees_all()) OR trip_id IN (SELECT t.trip_id FROM watchtower.trips AS t));
    ALTER TABLE watchtower.etas ENABLE ROW LEVEL SECURITY;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'watchtower_org_reader') THEN
        GRANT USAGE ON SCHEMA watchtower TO watchtower_org_reader;
        GRANT SELECT ON watchtower.as_of, watchtower.journal_as_of, watchtower.vehicles, watchtower.presences,
            watchtower.visits, watchtower.crossings, watchtower.trips, watchtower.etas, watchtower.alerts,
            watchtower.positions, watchtower.trip_plans, watchtower.assignments TO watchtower_org_reader;
    END IF;
END
$$;
