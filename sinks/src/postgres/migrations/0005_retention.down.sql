DROP TABLE watchtower.retention;
DROP INDEX watchtower.alerts_ended, watchtower.trips_over, watchtower.kpis_start;
