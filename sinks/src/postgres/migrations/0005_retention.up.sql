-- Up to when rows of a table are removed for their age. A row that was over before is not in the table, whatever comes.

CREATE TABLE watchtower.retention (
    table_name text PRIMARY KEY,
    removed_before timestamptz NOT NULL
);
COMMENT ON TABLE watchtower.retention IS 'Rows that were over before this instant are removed for their age.';
