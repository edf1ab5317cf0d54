-- The role stays: other databases of the cluster may use it. So does PostGIS.

DO $$
DECLARE
    of_vehicles text;
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'watchtower_org_reader') THEN
        REVOKE SELECT ON ALL TABLES IN SCHEMA watchtower FROM watchtower_org_reader;
        REVOKE USAGE ON SCHEMA watchtower FROM watchtower_org_reader;
    END IF;
    FOREACH of_vehicles IN ARRAY ARRAY['etas', 'presences', 'visits', 'crossings', 'trips', 'alerts'] LOOP
        EXECUTE format('ALTER TABLE watchtower.%I DISABLE ROW LEVEL SECURITY', of_vehicles);
        EXECUTE format('DROP POLICY by_company ON watchtower.%I', of_vehicles);
    END LOOP;
END
$$;

DROP TABLE watchtower.positions;
DROP TABLE watchtower.assignments;
DROP TABLE watchtower.trip_plans;
DROP TABLE watchtower.locations;
DROP TABLE watchtower.organizations;
DROP TABLE watchtower.drivers;
DROP TABLE watchtower.vehicles;
DROP VIEW watchtower.fences;
DROP TABLE watchtower.fence_timeline;
DROP TABLE watchtower.journal_as_of;
DROP FUNCTION watchtower.sees_all();
