//! One worker of the dataflow: works on ticks one by one, and saves or loads what its operators keep between them.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use model::GraphSettings;
use operators::alerts::AlertControl;
use operators::presence::FixIn;
use operators::state::States;
use operators::trips::TripControl;
use operators::{Control, net};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::{InputHandle, ProbeHandle};
use timely::worker::Worker;

use crate::dataflow::{Computes, Given, Inputs, build};
use crate::snapshots::{FileReader, FileSum, FileWriter, SnapshotError};

/// What a worker is given to do.
pub(crate) enum Task {
    Tick(Work),
    /// Saves what its operators keep to a new file. No tick is under way.
    Save(PathBuf),
    /// Loads that, before the first tick.
    Load(PathBuf, FileSum),
}

/// A tick's part of a worker.
pub(crate) struct Work {
    pub tick: u64,
    pub fixes: Vec<FixIn>,
    pub controls: Vec<Control>,
    pub trip_controls: Vec<TripControl>,
    pub alert_controls: Vec<AlertControl>,
}

/// What a worker gives back: the differences of one tick, those that cancel left out; what it saved or loaded; or that
/// it panicked.
pub(crate) enum Done {
    Tick { worker: usize, given: Given },
    Saved { worker: usize, saved: Result<FileSum, SnapshotError> },
    Loaded(Result<(), SnapshotError>),
    Panicked,
}

/// Tells when its worker unwinds: the others would wait for it for ever.
pub(crate) struct Bell {
    pub done: Sender<Done>,
    pub broken: Arc<AtomicBool>,
}

impl Drop for Bell {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.broken.store(true, Ordering::Release);
            // Nobody listens any more when the graph itself is being dropped.
            self.done.send(Done::Panicked).ok();
        }
    }
}

type Input<T> = InputHandle<u64, CapacityContainerBuilder<Vec<T>>>;

/// The inputs of a worker, which go forward together.
struct AllInputs {
    fixes: Input<FixIn>,
    controls: Input<Control>,
    trip_controls: Input<TripControl>,
    alert_controls: Input<AlertControl>,
}

impl AllInputs {
    fn new() -> AllInputs {
        AllInputs {
            fixes: Input::new(),
            controls: Input::new(),
            trip_controls: Input::new(),
            alert_controls: Input::new(),
        }
    }

    fn advance_to(&mut self, tick: u64) {
        self.fixes.advance_to(tick);
        self.controls.advance_to(tick);
        self.trip_controls.advance_to(tick);
        self.alert_controls.advance_to(tick);
    }

    /// All of a tick; nothing of it comes later.
    fn send(&mut self, mut work: Work) {
        if work.tick > *self.fixes.time() {
            self.advance_to(work.tick);
        }
        self.fixes.send_batch(&mut work.fixes);
        self.controls.send_batch(&mut work.controls);
        self.trip_controls.send_batch(&mut work.trip_controls);
        self.alert_controls.send_batch(&mut work.alert_controls);
        self.advance_to(work.tick + 1);
        self.fixes.flush();
        self.controls.flush();
        self.trip_controls.flush();
        self.alert_controls.flush();
    }
}

/// Works until nobody gives it tasks any more, or another one has panicked.
pub(crate) fn run_worker(
    worker: &mut Worker,
    settings: &GraphSettings,
    computes: Computes,
    inbox: &Receiver<Task>,
    bell: &Bell,
) {
    let mut inputs = AllInputs::new();
    let probe = ProbeHandle::new();
    let given: Rc<RefCell<Given>> = Rc::default();
    let states = States::default();
    worker.dataflow::<u64, _, _>(|scope| {
        let streams = Inputs {
            fixes: inputs.fixes.to_stream(scope),
            controls: inputs.controls.to_stream(scope),
            trip_controls: inputs.trip_controls.to_stream(scope),
            alert_controls: inputs.alert_controls.to_stream(scope),
        };
        build(streams, settings, computes, &given, &probe, &states);
    });
    let index = worker.index();
    while let Ok(task) = inbox.recv() {
        let done = match task {
            Task::Tick(work) => {
                let behind = work.tick + 1;
                inputs.send(work);
                while probe.less_than(&behind) {
                    worker.step_or_park(Some(Duration::from_millis(1)));
                    if bell.broken.load(Ordering::Acquire) {
                        return;
                    }
                }
                let mut of_tick = given.borrow_mut().take();
                net(&mut of_tick.deltas);
                Done::Tick { worker: index, given: of_tick }
            }
            Task::Save(file) => Done::Saved { worker: index, saved: save(&states, file) },
            Task::Load(file, sum) => Done::Loaded(load(&states, file, &sum)),
        };
        if bell.done.send(done).is_err() {
            return;
        }
    }
}

fn save(states: &States, file: PathBuf) -> Result<FileSum, SnapshotError> {
    let mut writer = FileWriter::create(file)?;
    states.save(&mut writer)?;
    writer.finish()
}

fn load(states: &States, file: PathBuf, sum: &FileSum) -> Result<(), SnapshotError> {
    let mut reader = FileReader::open(file, sum)?;
    states.load(&mut reader)?;
    reader.finish()
}
