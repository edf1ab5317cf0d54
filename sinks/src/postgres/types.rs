//! Times as the database has them, without another library of times.

use model::TimeMs;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

/// The type `timestamptz`, and arrays of it: these numbers are part of the protocol.
const TIMESTAMPTZ: Oid = Oid(1184);
const TIMESTAMPTZ_ARRAY: Oid = Oid(1185);
/// Where the database begins to count: 2000-01-01T00:00:00Z.
const BEGINNING_MS: i64 = 946_684_800_000;

/// A `timestamptz`.
#[derive(Clone, Copy, Debug)]
pub struct PgTime(pub TimeMs);

impl Type<Postgres> for PgTime {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }

    fn compatible(ty: &PgTypeInfo) -> bool {
        ty.oid() == Some(TIMESTAMPTZ)
    }
}

impl PgHasArrayType for PgTime {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ_ARRAY)
    }
}

impl Encode<'_, Postgres> for PgTime {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = self.0.0.saturating_sub(BEGINNING_MS).saturating_mul(1000);
        Encode::<Postgres>::encode_by_ref(&micros, buffer)
    }
}

impl Decode<'_, Postgres> for PgTime {
    fn decode(value: PgValueRef<'_>) -> Result<PgTime, BoxDynError> {
        if value.format() != PgValueFormat::Binary {
            return Err("a time that is not binary".into());
        }
        let micros = i64::from_be_bytes(value.as_bytes()?.try_into()?);
        Ok(PgTime(TimeMs(micros.div_euclid(1000).saturating_add(BEGINNING_MS))))
    }
}
