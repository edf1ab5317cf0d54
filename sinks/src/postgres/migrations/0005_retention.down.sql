DROP TABLE watchtower.retention;
