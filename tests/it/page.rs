//! The live map in a browser, over a service that real posts change and correct.

mod picture;

use crate::browser;
use crate::common::{Client, Service, circle, fence_record, fix, now_ms, tick_of};

const YARD: (f64, f64) = (3.40, 6.50);
const DEPOT: (f64, f64) = (3.41, 6.50);
const MINUTE: i64 = 60_000;

#[test]
fn the_page_shows_what_happens_and_what_is_corrected() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut service = Service::start(dir.path(), &[]);
    let address = service.address();
    let post = |records: &[String]| {
        let mut client = Client::connect(address).expect("the service takes connections");
        let answer = client.post("/api/v1/records", records.join("\n").as_bytes()).expect("an answer");
        tick_of(&answer, records.len());
    };
    let start = now_ms() - 40 * MINUTE;
    let at = |vehicle: &str, minute: i64, place: (f64, f64)| {
        fix(vehicle, start + minute * MINUTE, place.0, place.1)
    };
    let fences =
        [("yard", YARD), ("depot", DEPOT)].map(|(id, (lon, lat))| fence_record(&circle(id, lon, lat, 200.0)));
    post(&fences);
    // One truck visited the yard and was next seen ten minutes later at the depot; another stands between.
    let mut fixes: Vec<String> = (0..=10).map(|minute| at("KJA-101XA", minute, YARD)).collect();
    fixes.push(at("KJA-101XA", 20, DEPOT));
    fixes.push(at("KJA-202XB", 20, (3.405, 6.503)));
    post(&fixes);

    // The other drives into the yard. Then a fix comes late: the first one had left the yard minutes earlier.
    let entry = [at("KJA-202XB", 30, YARD)];
    let correction = [at("KJA-101XA", 13, (3.405, 6.5))];
    browser::page_works(&format!("http://{address}"), None, || post(&entry), || post(&correction));
    service.stop();
}
