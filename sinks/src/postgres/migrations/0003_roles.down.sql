-- The roles stay: other databases of the cluster may use them.

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'watchtower_reader') THEN
        ALTER DEFAULT PRIVILEGES IN SCHEMA watchtower REVOKE SELECT ON TABLES FROM watchtower_reader;
        REVOKE SELECT ON ALL TABLES IN SCHEMA watchtower FROM watchtower_reader;
        REVOKE USAGE ON SCHEMA watchtower FROM watchtower_reader;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'watchtower_writer') THEN
        ALTER DEFAULT PRIVILEGES IN SCHEMA watchtower REVOKE SELECT, INSERT, UPDATE, DELETE ON TABLES FROM watchtower_writer;
        REVOKE SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA watchtower FROM watchtower_writer;
        REVOKE USAGE ON SCHEMA watchtower FROM watchtower_writer;
    END IF;
END
$$;
