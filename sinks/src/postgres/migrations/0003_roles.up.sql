-- Roles to be granted to users. They belong to the whole cluster, and another database may have made them; whoever
-- may not make roles does without.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'watchtower_reader') THEN
        CREATE ROLE watchtower_reader NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'watchtower_writer') THEN
        CREATE ROLE watchtower_writer NOLOGIN;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'the roles watchtower_reader and watchtower_writer are not made: CREATEROLE is missing';
    WHEN duplicate_object OR unique_violation THEN
        NULL;  -- Another database's migration made them meanwhile.
END
$$;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'watchtower_reader') THEN
        GRANT USAGE ON SCHEMA watchtower TO watchtower_reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA watchtower TO watchtower_reader;
        ALTER DEFAULT PRIVILEGES IN SCHEMA watchtower GRANT SELECT ON TABLES TO watchtower_reader;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'watchtower_writer') THEN
        GRANT USAGE ON SCHEMA watchtower TO watchtower_writer;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA watchtower TO watchtower_writer;
        ALTER DEFAULT PRIVILEGES IN SCHEMA watchtower GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO watchtower_writer;
    END IF;
END
$$;
