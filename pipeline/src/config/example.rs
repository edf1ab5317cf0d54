//! The commented example that `watchtower config example` prints. A test holds it equal to the defaults.

/// A full configuration with every default.
pub const EXAMPLE: &str = r#"# Watch Tower: every setting with its default. Give the file as --config FILE.
# The environment wins over the file (WATCHTOWER__VISITS__MIN_DWELL_S=600), --set NAME=VALUE over both.

# Zone of calendar days and weeks, and of fences' schedules that name none.
zone = "Africa/Lagos"
# The data folder; the flag --data wins.
# data = "./data"
# Threads of the graph.
# workers = 1

[listen]
address = "127.0.0.1:8090"
# Other addresses than loopback are refused unless this is true: put a proxy that authenticates in front.
allow_unauthenticated = false
# Names by which browsers may reach the service, besides localhost and the address above.
allowed_hosts = []

# The arithmetic of derived rows. A change is a record in the log and corrects the kept past.
[cleaning]
# Faster than this between two fixes is a jump, which is not used. 0 switches the filter off.
max_speed_kmh = 200
# How late a fix may come and still count.
horizon_h = 24

[presence]
# How far outside of a fence a vehicle must be to have left it, metres. Fences may have their own.
exit_buffer_m = 30

[visits]
# How long a stay must be to be a visit. Fences may have their own.
min_dwell_s = 300
# Absences up to this do not split a stay. Fences may have their own.
max_absence_s = 120

[trips]
early_window_h = 12
no_show_h = 24
no_arrival_h = 72
# Whether trips are made of visits, too: from a terminal to a client, where nothing was planned.
auto = false
# How far ahead of now a trip must be scheduled that is planned over HTTP, minutes. No record holds this one.
min_notice_min = 30
# Whether such a trip needs a driver, who is assigned to its vehicle at the departure or named in driver_id: "auto"
# (where any assignment is known), "always" or "never". No record holds this one either.
needs_driver = "auto"

[history]
# How long history can be corrected: hours, or "unlimited". By default as long as cleaning.horizon_h in a
# service, and unlimited in replay.
# keep_h = 24

[sources.loconav]
# Webhooks and POST /api/v1/records must be signed when this is set: "env:NAME" or "file:PATH" (the secret itself works, with a warning).
# hmac_secret = "env:LOCONAV_HMAC_SECRET"
# Zone of times that LocoNav sends without one.
naive_timezone = "Asia/Kolkata"

[sinks.postgres]
# Derived tables are kept in this database (docs/postgres.md): "env:NAME" or "file:PATH" with a URL such as
# postgres://user:password@localhost:5432/watchtower (the URL itself works too).
# url = "env:WATCHTOWER_POSTGRES"
# How long it is kept there what corrected rows were.
history_keep_days = 90.0
# Whether fences, master data and positions are kept there, too; and positions for how many days.
journal = true
positions_keep_days = 30
# How long rows are kept there after what they tell was over, days; 0 keeps them for ever. kpis: those of days and weeks.
alerts_keep_days = 90
trips_keep_days = 183
kpis_keep_days = 366

[sinks.kafka]
# Derived tables are kept as compacted topics PREFIX.TABLE (docs/kafka.md), at the brokers of [kafka] or at others; its
# properties hold for both.
# topic_prefix = "fleet"
# brokers = "127.0.0.1:9092"
# How the topics are made when there are none.
partitions = 4
replication_factor = 1
min_insync_replicas = 1

[sources.kafka]
# Topics to read, at the brokers of [kafka]: each message is records as POST /api/v1/records takes them.
topics = []
# Under this name it is told how far they were read. Where to go on is known from the journal alone.
group = "watchtower"
# Where a topic is begun of which nothing was read yet: "earliest" or "latest".
start = "earliest"
# With a mapping, messages are objects of another make, one a position: where its fields are, and how times are
# written ("rfc3339", or "s" or "ms" since 1970).
time = "rfc3339"
# mapping = { vehicle_id = "device.id", event_time = "ts", lon = "pos.lng", lat = "pos.lat", speed_kmh = "speed" }

[sources.postgis]
# Fences are read from a table of this database, where people edit them (docs/postgis.md): "env:NAME" or "file:PATH"
# with a URL such as postgres://user:password@localhost:5432/gis (the URL itself works too).
# url = "env:WATCHTOWER_GIS"
table = "watchtower_gis.fences"
# Whether the table and its trigger are made where they are missing.
create_table = true
# How often the table is compared, seconds, whether or not a notification tells of changes.
sweep_s = 60
# A table that lost all rows, or more than half of more than 10, at once deletes no fences unless this is true.
allow_mass_delete = false

[journal]
# "embedded": in the data folder. "kafka": in topics of the brokers below; the folder keeps what is derived.
kind = "embedded"
# When nothing arrives for this long, time passes by itself.
heartbeat_ms = 1000
# What may wait to be written; more is answered 429 with Retry-After.
max_queued = 8192
max_queued_mib = 64

[kafka]
brokers = "127.0.0.1:9092"
# The journal's topics are PREFIX.raw and PREFIX.ticks. Each journal has a prefix of its own, and one service that
# writes it.
topic_prefix = "watchtower"
# How the topics are made when there are none. With three brokers take 3 and 2: a tick is then acknowledged when two
# have it. One broker that is cut from power may lose what it has not written to its disk yet.
partitions = 4
replication_factor = 1
min_insync_replicas = 1

[kafka.properties]
# Settings of librdkafka besides, as text; each may be "env:NAME" or "file:PATH".
# "sasl.mechanism" = "PLAIN"
# "sasl.password" = "env:KAFKA_PASSWORD"

[limits]
max_body_mib = 16
max_inflated_mib = 64
# How long tracks are kept for the map.
track_keep_h = 24.0

[tracking]
# Links by which others follow a trip are signed with a key that is made at its first use and kept in the data
# folder (tracking.key), or with this: "env:NAME" or "file:PATH". Another one ends all links.
# secret = "env:WATCHTOWER_TRACKING_SECRET"
# What links begin with; without it they begin with the path.
# base_url = "https://fleet.example.org"

[snapshots]
# A start goes on from the newest snapshot, and computes only what came after it. While a service runs one is taken so
# often, minutes, beside its work; 0 takes none and uses none.
every_min = 10
# How many are kept. Each has about the size of what the service keeps in memory, packed.
keep = 2

[archive]
# Days of the journal (UTC) that ended so many days ago are moved to files of Parquet in the data folder, archive/. They
# stay part of the journal: all that reads it reads them. 0 moves none.
after_days = 7

[changes]
# How long /api/v1/changes can be resumed.
keep_days = 7.0

[dead_letters]
# The oldest go first; each is counted.
max_count = 100000
max_mib = 256
keep_days = 30.0

[log]
# "text" or "json".
format = "text"
level = "info"
"#;
