-- Up to when rows of a table are removed for their age. A row that was over before is not in the table, whatever comes.

CREATE TABLE watchtower.retention (
    table_name text PRIMARY KEY,
    removed_before timestamptz NOT NULL
);
COMMENT ON TABLE watchtower.retention IS 'Rows that were over before this instant are removed for their age.';

-- By them rows are found that are old enough to go.
CREATE INDEX alerts_ended ON watchtower.alerts (ended);
CREATE INDEX trips_over ON watchtower.trips ((
    CASE WHEN phase IN ('done', 'cancelled', 'failed') THEN greatest(pickup_arrival, actual_departure, arrival, offload) END
));
CREATE INDEX kpis_start ON watchtower.kpis ((CASE WHEN span IN ('day', 'week') THEN start END));
