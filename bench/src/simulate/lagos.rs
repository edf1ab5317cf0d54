//! The map: roads around Lagos and up to Ibadan, Ota, Sagamu and Epe, and the places that trucks go to.
//!
//! Where roads and places are is near the truth, their outlines and the clients' names are invented.

/// What a place is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Containers are loaded here.
    Terminal,
    /// Trucks live here.
    Depot,
    /// Containers are brought here.
    Client,
    /// On the way.
    ServiceArea,
    /// On the way.
    Checkpoint,
}

impl Kind {
    /// The name in a fence's properties.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Terminal => "terminal",
            Kind::Depot => "depot",
            Kind::Client => "client",
            Kind::ServiceArea => "service_area",
            Kind::Checkpoint => "checkpoint",
        }
    }
}

/// How a place is fenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A circle.
    Circle,
    /// A rectangle, turned.
    Yard,
    /// A polygon of 6 to 10 uneven corners.
    Site,
    /// A site with a hole: a building or a basin that is not part of it.
    Holed,
    /// Two or three yards under one name.
    Split,
}

/// A place of the map.
pub(crate) struct Entry {
    pub id: &'static str,
    pub name: &'static str,
    pub kind: Kind,
    pub form: Form,
    pub lon: f64,
    pub lat: f64,
    /// About the radius, metres.
    pub size_m: f64,
}

const fn at(
    id: &'static str,
    name: &'static str,
    kind: Kind,
    form: Form,
    (lon, lat, size_m): (f64, f64, f64),
) -> Entry {
    Entry { id, name, kind, form, lon, lat, size_m }
}

use Form::{Circle, Holed, Site, Split, Yard};
use Kind::{Checkpoint, Client, Depot, ServiceArea, Terminal};

/// All places, the most important ones first: `--fences N` takes the first N.
#[rustfmt::skip]
pub(crate) const PLACES: [Entry; 58] = [
    at("esslibra-ibeshe", "ESSLIBRA Ibeshe", Terminal, Site, (3.4780, 6.5640, 420.0)),
    at("tin-can-island", "Tin Can Island Port", Terminal, Holed, (3.3440, 6.4330, 700.0)),
    at("apapa-port", "Apapa Port Complex", Terminal, Split, (3.3660, 6.4440, 620.0)),
    at("vpc-yard-amuwo", "VPC Yard, Amuwo Odofin", Depot, Yard, (3.3000, 6.4610, 190.0)),
    at("fm-yard-orile", "FM Yard, Orile", Depot, Yard, (3.3400, 6.4790, 180.0)),
    at("lh-yard-ikorodu", "LH Yard, Ikorodu", Depot, Site, (3.5180, 6.6240, 220.0)),
    at("pc-yard-ijora", "PC Yard, Ijora", Depot, Yard, (3.3770, 6.4680, 170.0)),
    at("agbara-estate", "Agbara Industrial Estate", Client, Holed, (3.1040, 6.5110, 520.0)),
    at("ota-flour-mills", "Ota Flour Mills", Client, Circle, (3.2130, 6.6900, 300.0)),
    at("sagamu-cement-store", "Sagamu Cement Store", Client, Site, (3.6270, 6.8420, 320.0)),
    at("ibadan-distribution", "Ibadan Distribution Centre", Client, Yard, (3.8890, 7.3560, 280.0)),
    at("oregun-works", "Oregun Works", Client, Yard, (3.3690, 6.6050, 170.0)),
    at("ilupeju-foods", "Ilupeju Foods", Client, Circle, (3.3570, 6.5520, 180.0)),
    at("isolo-plastics", "Isolo Plastics", Client, Site, (3.3220, 6.5300, 200.0)),
    at("trade-fair-market", "Trade Fair Complex", Client, Split, (3.2440, 6.4630, 480.0)),
    at("ibeju-refinery-gate", "Ibeju Refinery Gate", Client, Site, (3.9880, 6.4560, 600.0)),
    at("lekki-deep-sea", "Lekki Deep Sea Port", Terminal, Site, (4.0080, 6.4370, 650.0)),
    at("service-ogere", "Ogere Trailer Park", ServiceArea, Yard, (3.6480, 6.9350, 260.0)),
    at("checkpoint-long-bridge", "Long Bridge Checkpoint", Checkpoint, Circle, (3.3960, 6.6800, 220.0)),
    at("ikorodu-lighter", "Ikorodu Lighter Terminal", Terminal, Circle, (3.4920, 6.6010, 300.0)),
    at("sango-steel", "Sango Steel", Client, Holed, (3.2430, 6.7150, 380.0)),
    at("ogba-bottling", "Ogba Bottling", Client, Yard, (3.3410, 6.6260, 220.0)),
    at("gbagada-pharma", "Gbagada Pharma", Client, Circle, (3.3880, 6.5560, 160.0)),
    at("matori-tyres", "Matori Tyres", Client, Yard, (3.3420, 6.5370, 150.0)),
    at("apapa-sugar", "Apapa Sugar Works", Client, Yard, (3.3590, 6.4590, 190.0)),
    at("kirikiri-oils", "Kirikiri Oils", Client, Circle, (3.3060, 6.4420, 210.0)),
    at("satellite-store", "Satellite Town Store", Client, Site, (3.2780, 6.4480, 190.0)),
    at("ojo-barracks-road", "Ojo Road Warehouses", Client, Split, (3.2010, 6.4670, 340.0)),
    at("badagry-rice", "Badagry Rice Mill", Client, Circle, (2.8900, 6.4230, 260.0)),
    at("seme-transit", "Seme Transit Park", Client, Yard, (2.7800, 6.4100, 240.0)),
    at("ikorodu-paints", "Ikorodu Paints", Client, Yard, (3.5350, 6.6420, 200.0)),
    at("odogunyan-wires", "Odogunyan Wires", Client, Site, (3.5200, 6.6690, 230.0)),
    at("ajah-retail", "Ajah Retail Depot", Client, Circle, (3.5680, 6.4720, 170.0)),
    at("sangotedo-mall", "Sangotedo Mall Dock", Client, Yard, (3.6330, 6.4740, 180.0)),
    at("lekki-free-zone", "Lekki Free Zone", Client, Holed, (3.9350, 6.4500, 620.0)),
    at("epe-poultry", "Epe Poultry", Client, Circle, (3.9720, 6.5880, 240.0)),
    at("ibafo-ceramics", "Ibafo Ceramics", Client, Site, (3.4220, 6.7420, 240.0)),
    at("mowe-packaging", "Mowe Packaging", Client, Yard, (3.4480, 6.8090, 210.0)),
    at("redemption-store", "Redemption Road Store", Client, Circle, (3.4760, 6.8320, 260.0)),
    at("sagamu-agro", "Sagamu Agro Park", Client, Split, (3.6520, 6.8550, 420.0)),
    at("ijebu-ode-hub", "Ijebu-Ode Hub", Client, Site, (3.9230, 6.8250, 250.0)),
    at("abeokuta-feeds", "Abeokuta Feeds", Client, Circle, (3.3500, 7.1490, 260.0)),
    at("ifo-blocks", "Ifo Blocks", Client, Yard, (3.2000, 6.8160, 200.0)),
    at("ewekoro-cement", "Ewekoro Cement", Client, Holed, (3.2110, 6.9020, 520.0)),
    at("oluyole-estate", "Oluyole Estate, Ibadan", Client, Site, (3.8580, 7.3480, 320.0)),
    at("ibadan-dry-port", "Ibadan Dry Port", Client, Split, (3.8390, 7.4250, 450.0)),
    at("asejire-dairy", "Asejire Dairy", Client, Circle, (4.0700, 7.3700, 240.0)),
    at("service-ibafo", "Ibafo Service Area", ServiceArea, Circle, (3.4150, 6.7220, 180.0)),
    at("service-mile-12", "Mile 12 Fuel Stop", ServiceArea, Circle, (3.4010, 6.6080, 150.0)),
    at("service-badagry-road", "Badagry Road Service Area", ServiceArea, Yard, (3.1500, 6.4760, 180.0)),
    at("service-epe-road", "Epe Road Service Area", ServiceArea, Circle, (3.7500, 6.4640, 200.0)),
    at("service-guru-maharaj", "Ibadan South Service Area", ServiceArea, Yard, (3.8380, 7.2600, 200.0)),
    at("checkpoint-mile-2", "Mile 2 Checkpoint", Checkpoint, Circle, (3.3180, 6.4640, 200.0)),
    at("checkpoint-sagamu", "Sagamu Interchange Checkpoint", Checkpoint, Circle, (3.5800, 6.8870, 260.0)),
    at("checkpoint-ibadan-toll", "Ibadan Toll Checkpoint", Checkpoint, Circle, (3.8700, 7.3150, 240.0)),
    at("checkpoint-sango", "Sango Bridge Checkpoint", Checkpoint, Circle, (3.2480, 6.6960, 200.0)),
    at("checkpoint-agbara", "Agbara Junction Checkpoint", Checkpoint, Circle, (3.1020, 6.4960, 190.0)),
    at("checkpoint-ajah", "Ajah Roundabout Checkpoint", Checkpoint, Circle, (3.5650, 6.4610, 180.0)),
];

/// Junctions: longitude, latitude.
#[rustfmt::skip]
pub(crate) const JUNCTIONS: [(f64, f64); 42] = [
    (3.3480, 6.4390), (3.3690, 6.4480), (3.3180, 6.4640), (3.3720, 6.4660), (3.3670, 6.4810), // Tin Can, Apapa, Mile 2, Ijora, Costain
    (3.3350, 6.4800), (3.3430, 6.5560), (3.3230, 6.5340), (3.3800, 6.5870), (3.3710, 6.6400), // Orile, Oshodi, Isolo, Ojota, Berger
    (3.3500, 6.6010), (3.3120, 6.6220), (3.2470, 6.6970), (3.2450, 6.4660), (3.1940, 6.4700), // Ikeja, Agege, Sango, Trade Fair, Ojo
    (3.1020, 6.4960), (2.8880, 6.4250), (2.7700, 6.4060), (3.3850, 6.5540), (3.4010, 6.6080), // Agbara, Badagry, Seme, Gbagada, Mile 12
    (3.5060, 6.6190), (3.4760, 6.5700), (3.5250, 6.6680), (3.3960, 6.6800), (3.4150, 6.7220), // Ikorodu, Ibeshe, Odogunyan, Long Bridge, Ibafo
    (3.4480, 6.8130), (3.5800, 6.8870), (3.6380, 6.8480), (3.6430, 6.9340), (3.7400, 7.0700), // Mowe, interchange, Sagamu, Ogere, Ogunmakin
    (3.8380, 7.2600), (3.8700, 7.3150), (3.8800, 7.3560), (3.9240, 6.8200), (3.3480, 7.1450), // Ibadan south, toll, Challenge, Ijebu-Ode, Abeokuta
    (3.1980, 6.8150), (3.2100, 6.9000), (3.4300, 6.4390), (3.5650, 6.4610), (3.7500, 6.4640), // Ifo, Ewekoro, Lekki, Ajah, Epe road
    (3.9700, 6.4560), (3.9750, 6.5850),                                                       // Free zone, Epe
];

/// Roads between junctions.
#[rustfmt::skip]
pub(crate) const ROADS: [(u16, u16); 52] = [
    (0, 1), (0, 2), (1, 3), (3, 4), (4, 5), (5, 2), (2, 7), (7, 6), (6, 10), (6, 18), (18, 8), (4, 18), (8, 10),
    (8, 9), (10, 11), (11, 12), (2, 13), (13, 14), (14, 15), (15, 16), (16, 17), (15, 12), (8, 19), (19, 20),
    (20, 21), (20, 22), (9, 23), (23, 24), (24, 25), (25, 26), (26, 27), (26, 28), (28, 29), (29, 30), (30, 31),
    (31, 32), (27, 33), (33, 41), (41, 40), (40, 39), (39, 38), (38, 37), (37, 3), (12, 35), (35, 36), (36, 34),
    (22, 27), (9, 10), (7, 5), (34, 26), (11, 10), (5, 7),
];

/// Around here traffic is that of a city.
pub(crate) const CITY_CENTRE: (f64, f64) = (3.355, 6.535);
/// How far the city reaches, metres.
pub(crate) const CITY_RADIUS_M: f64 = 15_000.0;

/// Speed by the hour of the local day, km/h, before chance: in the city, outside.
pub(crate) const TRAFFIC_KMH: [(f64, f64); 24] = [
    (44.0, 62.0),
    (45.0, 62.0),
    (45.0, 62.0),
    (45.0, 62.0),
    (42.0, 62.0),
    (34.0, 60.0),
    (23.0, 55.0),
    (16.0, 50.0),
    (15.0, 50.0),
    (18.0, 54.0),
    (24.0, 57.0),
    (26.0, 58.0),
    (26.0, 58.0),
    (25.0, 58.0),
    (24.0, 57.0),
    (20.0, 54.0),
    (16.0, 50.0),
    (13.0, 46.0),
    (13.0, 46.0),
    (16.0, 50.0),
    (22.0, 54.0),
    (30.0, 58.0),
    (38.0, 60.0),
    (42.0, 62.0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_roads_name_junctions() {
        let mut ids: Vec<&str> = PLACES.iter().map(|p| p.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), PLACES.len());
        assert!(ROADS.iter().all(|&(a, b)| usize::from(a.max(b)) < JUNCTIONS.len() && a != b));
    }
}
