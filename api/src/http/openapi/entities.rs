//! The shapes of answers about master data.

use utoipa::ToSchema;

/// What records gave, with all fields.
#[derive(ToSchema)]
#[schema(as = Entity)]
pub(in crate::http) struct EntityDoc {
    id: String,
    /// All other fields.
    #[serde(flatten)]
    fields: std::collections::BTreeMap<String, serde_json::Value>,
}

page_doc!(EntityPageDoc, "entities", EntityDoc);

/// A driver is to drive a vehicle in `[from_time, to_time)`.
#[derive(ToSchema)]
#[schema(as = Assignment)]
pub(in crate::http) struct AssignmentDoc {
    vehicle_id: String,
    driver_id: String,
    #[schema(format = DateTime)]
    from_time: String,
    /// Null where it goes on.
    #[schema(format = DateTime)]
    to_time: Option<String>,
}

page_doc!(AssignmentPageDoc, "assignments", AssignmentDoc);
