//! One object of a webhook's body: the values that mean something, as slices of the body.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::json;

/// The known fields; `None` where one is absent or null.
#[derive(Default)]
pub(super) struct Push<'a> {
    pub(super) vehicle_number: Option<&'a RawValue>,
    pub(super) gps_time: Option<&'a RawValue>,
    pub(super) latitude: Option<&'a RawValue>,
    pub(super) longitude: Option<&'a RawValue>,
    pub(super) speed: Option<&'a RawValue>,
    pub(super) orientation: Option<&'a RawValue>,
    pub(super) ignition: Option<&'a RawValue>,
    pub(super) kind: Option<&'a RawValue>,
    pub(super) id: Option<&'a RawValue>,
    pub(super) event_time: Option<&'a RawValue>,
    pub(super) active_event_time: Option<&'a RawValue>,
    pub(super) inactive_event_time: Option<&'a RawValue>,
    pub(super) start_time: Option<&'a RawValue>,
    pub(super) created_at: Option<&'a RawValue>,
}

impl<'a> Push<'a> {
    pub(super) fn parse(object: &'a str) -> Result<Push<'a>, String> {
        json::object(object)
    }

    /// The vehicle's number as received; it may be digits only, and then come as a number.
    pub(super) fn vehicle_number(&self) -> Result<Cow<'a, str>, String> {
        let raw = self.vehicle_number.ok_or("the vehicle number is missing")?;
        let number = if json::is_number(raw) { Some(Cow::Borrowed(raw.get())) } else { json::text(raw) };
        let number = number.ok_or("the vehicle number must be text")?;
        crate::shape::check_id("the vehicle number", &number)?;
        Ok(number)
    }

    fn field(&mut self, name: Name) -> Option<&mut Option<&'a RawValue>> {
        Some(match name.as_bytes() {
            b"vehiclenumber" => &mut self.vehicle_number,
            b"gpstime" => &mut self.gps_time,
            b"latitude" => &mut self.latitude,
            b"longitude" => &mut self.longitude,
            b"speed" => &mut self.speed,
            b"orientation" => &mut self.orientation,
            b"ignition" => &mut self.ignition,
            b"kind" => &mut self.kind,
            b"id" => &mut self.id,
            b"eventtime" => &mut self.event_time,
            b"activeeventtime" => &mut self.active_event_time,
            b"inactiveeventtime" => &mut self.inactive_event_time,
            b"starttime" => &mut self.start_time,
            b"createdat" => &mut self.created_at,
            _ => return None,
        })
    }
}

impl<'de: 'a, 'a> serde::Deserialize<'de> for Push<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Push<'a>, D::Error> {
        struct PushVisitor;
        impl<'de> Visitor<'de> for PushVisitor {
            type Value = Push<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Push<'de>, A::Error> {
                let mut push = Push::default();
                while let Some(name) = map.next_key::<Name>()? {
                    let Some(field) = push.field(name) else {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    let value: &'de RawValue = map.next_value()?;
                    if !json::is_null(value) {
                        *field = Some(value);
                    }
                }
                Ok(push)
            }
        }
        deserializer.deserialize_map(PushVisitor)
    }
}

/// The longest known name, `inactiveeventtime`, and one letter more.
const MAX_NAME_BYTES: usize = 18;

/// A field's name in small letters, without underscores; empty where it is longer than any that is known.
#[derive(Default)]
struct Name {
    bytes: [u8; MAX_NAME_BYTES],
    length: usize,
}

impl Name {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }

            fn visit_str<E>(self, text: &str) -> Result<Name, E> {
                let mut name = Name::default();
                for byte in text.bytes().filter(|&byte| byte != b'_') {
                    let Some(free) = name.bytes.get_mut(name.length) else { return Ok(Name::default()) };
                    *free = byte.to_ascii_lowercase();
                    name.length += 1;
                }
                Ok(name)
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}
