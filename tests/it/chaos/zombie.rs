//! Services that are paused: they sleep, and go on; or another one takes over what they write, and then they may
//! write nothing any more, and have to say so.

use std::net::SocketAddr;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::campaign::{Campaign, Node, Remedy};
use crate::common::{Client, Service, fix, now_ms, succeed, watchtower};

/// Between two posts to a zombie, and two looks whether it may wake up.
const AGAIN: Duration = Duration::from_millis(200);
/// Nobody else has this vehicle: no record of it may be anywhere.
pub const VEHICLE: &str = "zombie";

/// A service that was paused while another one took its journal over.
pub struct Zombie {
    node: Node,
    /// It goes on, and somebody posts to it: what was said other than 503, if anything was.
    woken: Option<JoinHandle<Option<u16>>>,
}

fn signal(name: &str, service: &Service) {
    succeed(Command::new("kill").args([name, &service.id().to_string()]));
}

/// Posts until the service is gone, or says yes.
fn post_until_it_ends(address: SocketAddr) -> Option<u16> {
    loop {
        let mut client = Client::connect(address).ok()?;
        let record = fix(VEHICLE, now_ms(), 3.4, 6.5);
        match client.post("/api/v1/records", record.as_bytes()).ok()?.status {
            503 => std::thread::sleep(AGAIN),
            other => return Some(other),
        }
    }
}

impl Campaign<'_> {
    /// Pauses the service; nobody else may have its folder meanwhile.
    pub fn pause_service(&mut self, lasts_ms: u64) {
        self.end_early(|remedy| matches!(remedy, Remedy::Wake));
        self.wait_for_service();
        let node = self.node.as_mut().expect("it is ready");
        signal("-STOP", &node.service);
        node.is_paused = true;
        let mut second = watchtower();
        second.args(["run", "--listen", "127.0.0.1:0", "--data"]).arg(self.data());
        let refused = second.output().expect("a second one can be started");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains("is in use by process"), "{said}");
        self.later(lasts_ms, Remedy::Wake);
    }

    /// Pauses the service, and starts another one on another folder, which takes the journal over.
    pub fn take_over(&mut self, lasts_ms: u64) {
        if self.zombie.is_some() {
            self.mend();
        }
        self.wait_for_service();
        self.scene.set_address(None);
        let node = self.node.take().expect("it is ready");
        signal("-STOP", &node.service);
        self.zombie = Some(Zombie { node, woken: None });
        self.folder = 1 - self.folder;
        self.restart_at = Instant::now();
        self.later(lasts_ms, Remedy::Wake);
    }

    /// Who sleeps must have been awake.
    fn wait_for_service(&mut self) {
        if self.node.as_ref().is_none_or(|node| !node.was_ready) {
            self.mend();
        }
    }

    /// Lets what is paused go on; a zombie not before its successor is there.
    pub fn wake(&mut self) {
        match (&mut self.zombie, &mut self.node) {
            (Some(zombie), Some(node)) if zombie.woken.is_none() => {
                if !node.was_ready {
                    self.remedies.push((Instant::now() + AGAIN, Remedy::Wake));
                    return;
                }
                signal("-CONT", &zombie.node.service);
                let address = zombie.node.service.address_so_far().expect("it was ready");
                zombie.woken = Some(std::thread::spawn(move || post_until_it_ends(address)));
            }
            (Some(zombie), None) if zombie.woken.is_none() => {
                self.remedies.push((Instant::now() + AGAIN, Remedy::Wake));
            }
            (_, Some(node)) if node.is_paused => {
                signal("-CONT", &node.service);
                node.is_paused = false;
            }
            _ => {}
        }
    }

    /// A zombie that goes on has to find out, and to end.
    pub fn look_after_zombie(&mut self) {
        let Some(zombie) = &mut self.zombie else { return };
        let Some(status) = zombie.node.service.ended() else { return };
        let zombie = self.zombie.take().expect("it is there");
        let said = zombie.node.service.said();
        self.keep_log(&said);
        let answered = zombie.woken.map(|poster| poster.join().expect("the poster does not panic"));
        assert_eq!(answered, Some(None), "a zombie must say nothing but 503:\n{said}");
        let knows = said.contains("another writer has taken over");
        assert!(status.code() == Some(1) && knows, "a zombie ended with {status}:\n{said}");
        self.say("    a zombie found out, and ended");
    }
}
