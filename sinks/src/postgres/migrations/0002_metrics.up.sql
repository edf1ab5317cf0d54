-- Days of the fleet and of each truck, a column a figure. Plain views: the figures are rows of kpis already.

CREATE VIEW watchtower.daily_metrics AS
SELECT
    start AS day,
    bool_and(final) AS final,
    max(value) FILTER (WHERE metric = 'trips_started') AS trips_started,
    max(value) FILTER (WHERE metric = 'trips_completed') AS trips_completed,
    max(value) FILTER (WHERE metric = 'trips_delayed') AS trips_delayed,
    max(value) FILTER (WHERE metric = 'trips_failed') AS trips_failed,
    max(value) FILTER (WHERE metric = 'trips_cancelled') AS trips_cancelled,
    max(value) FILTER (WHERE metric = 'on_time_departure_bp') AS on_time_departure_bp,
    max(value) FILTER (WHERE metric = 'on_time_arrival_bp') AS on_time_arrival_bp,
    max(value) FILTER (WHERE metric = 'tat_mean_s') AS tat_mean_s,
    max(value) FILTER (WHERE metric = 'tat_p50_s') AS tat_p50_s,
    max(value) FILTER (WHERE metric = 'tat_p90_s') AS tat_p90_s,
    max(value) FILTER (WHERE metric = 'dwell_mean_s') AS dwell_mean_s,
    max(value) FILTER (WHERE metric = 'dwell_p90_s') AS dwell_p90_s,
    max(value) FILTER (WHERE metric = 'visits') AS visits,
    max(value) FILTER (WHERE metric = 'distance_m') AS distance_m,
    max(value) FILTER (WHERE metric = 'moving_s') AS moving_s,
    max(value) FILTER (WHERE metric = 'idle_s') AS idle_s,
    max(value) FILTER (WHERE metric = 'stopped_s') AS stopped_s,
    max(value) FILTER (WHERE metric = 'offline_s') AS offline_s,
    max(value) FILTER (WHERE metric = 'utilization_bp') AS utilization_bp,
    sum(value) FILTER (WHERE metric LIKE 'alerts:%') AS alerts
FROM watchtower.kpis
WHERE span = 'day' AND slice = 'fleet'
GROUP BY start;

CREATE VIEW watchtower.truck_metrics AS
SELECT
    start AS day,
    slice_id AS vehicle_id,
    bool_and(final) AS final,
    max(value) FILTER (WHERE metric = 'trips_started') AS trips_started,
    max(value) FILTER (WHERE metric = 'trips_completed') AS trips_completed,
    max(value) FILTER (WHERE metric = 'trips_delayed') AS trips_delayed,
    max(value) FILTER (WHERE metric = 'tat_mean_s') AS tat_mean_s,
    max(value) FILTER (WHERE metric = 'distance_m') AS distance_m,
    max(value) FILTER (WHERE metric = 'moving_s') AS moving_s,
    max(value) FILTER (WHERE metric = 'idle_s') AS idle_s,
    max(value) FILTER (WHERE metric = 'stopped_s') AS stopped_s,
    max(value) FILTER (WHERE metric = 'offline_s') AS offline_s,
    max(value) FILTER (WHERE metric = 'utilization_bp') AS utilization_bp,
    sum(value) FILTER (WHERE metric LIKE 'alerts:%') AS alerts
FROM watchtower.kpis
WHERE span = 'day' AND slice = 'truck'
GROUP BY start, slice_id;
