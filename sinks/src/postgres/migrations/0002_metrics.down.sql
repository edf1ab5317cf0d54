DROP VIEW watchtower.truck_metrics;
DROP VIEW watchtower.daily_metrics;
