//! A pipeline in a folder of its own, and how to wait for it.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use manade_model::{Finding, PlatformFile, parse};
use manade_pipeline::collection::{CollectionKind, ScanRequest};
use manade_pipeline::plan::{Fixed, Plan, plan};
use manade_pipeline::status::{PipelineState, PipelineStatus};
use manade_pipeline::{Pipeline, PipelineOptions, values};
use manade_store::Memory;

/// How long anything may take before the test has failed.
const PATIENCE: Duration = Duration::from_mins(1);

pub struct Rig {
    dir: tempfile::TempDir,
    data: PathBuf,
    /// What stands under `spec`.
    pub spec: String,
    pub options: PipelineOptions,
    pipeline: Option<Pipeline>,
    backups: usize,
}

impl Rig {
    /// A pipeline that does not run yet; its events are expected in the folder `in`.
    pub fn new(spec: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        let (memory, max_backlog, max_outbox) = (Memory::unbounded(), u64::MAX, u64::MAX);
        let options = PipelineOptions { workers: 2, memory, once: false, max_backlog, max_outbox };
        let data = dir.path().join("data");
        Self { dir, data, spec: spec.to_owned(), options, pipeline: None, backups: 0 }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        append(&self.path(name), bytes.as_ref());
    }

    pub fn plan(&self) -> Plan {
        let spec: String = self.spec.lines().map(|line| format!("  {line}\n")).collect();
        let head = "apiVersion: manade.dev/v1alpha1\nkind:";
        let store = "Connection\nmetadata: { name: store }\nspec: { mongodb: { url: 'mongodb://127.0.0.1' } }";
        let text = format!("{head} Pipeline\nmetadata: {{ name: p }}\nspec:\n{spec}---\n{head} {store}\n");
        let parsed = parse(&[PlatformFile { path: self.path("p.yaml"), text: text.clone() }]);
        let show = |findings: &[Finding]| findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let pipeline =
            parsed.platform.pipelines.first().unwrap_or_else(|| panic!("{}\n{text}", show(&parsed.findings)));
        let (made, findings) = plan(pipeline, &Fixed::default());
        made.unwrap_or_else(|| panic!("{}\n{text}", show(&findings)))
    }

    pub fn start(&mut self) {
        assert!(self.pipeline.is_none(), "it runs already");
        self.pipeline = Some(Pipeline::start(&self.data, self.plan(), &self.options).unwrap());
    }

    pub fn stop(&mut self) {
        self.pipeline.take().expect("it runs").stop();
    }

    /// What is left where the program ends at once: the last commit, and nothing that was on its way.
    pub fn crash(&mut self) {
        self.backups += 1;
        let copy = self.path(&format!("data-{}", self.backups));
        self.pipeline().backup(copy.clone()).unwrap();
        self.stop();
        self.data = copy;
    }

    pub fn pipeline(&self) -> &Pipeline {
        self.pipeline.as_ref().expect("it runs")
    }

    pub fn status(&self) -> PipelineStatus {
        self.pipeline().status()
    }

    /// Waits until `is` holds, which is what `what` says.
    pub fn until(&self, what: &str, is: impl Fn(&PipelineStatus) -> bool) -> PipelineStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            if is(&status) {
                return status;
            }
            let ended = matches!(status.state, PipelineState::Failed | PipelineState::Stopped);
            assert!(!ended, "{what} did not come true: {:?} {:?}", status.state, status.reason);
            assert!(Instant::now() < end, "{what} did not come true: {status:#?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn until_read(&self, events: u64) {
        self.until(&format!("{events} events are read"), |status| status.counters.read >= events);
    }

    /// Reads all that is there, closes the windows, and stops.
    pub fn finish(&mut self) {
        self.spec = self.spec.replace("follow: true", "follow: false");
        self.start();
        self.until("the source has ended", |status| status.state == PipelineState::Finished);
    }

    /// A collection's rows as JSON text; sorted but for a top-N.
    pub fn rows(&self, result: &str) -> Vec<String> {
        let all = self.pipeline().collections();
        let collection = all.iter().find(|c| c.info().name == result).unwrap_or_else(|| panic!("no result {result}"));
        let info = collection.info();
        let mut rows = Vec::new();
        for batch in collection.snapshot().unwrap().scan(&ScanRequest::default()) {
            let batch = batch.unwrap();
            for row in 0..batch.num_rows() {
                let cells = (0..info.columns.len()).map(|i| values::json(batch.column(i), row).to_string());
                rows.push(cells.collect::<Vec<_>>().join(" "));
            }
        }
        if info.kind != CollectionKind::Top {
            rows.sort();
        }
        rows
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if self.pipeline.is_some() && !std::thread::panicking() {
            self.stop();
        }
    }
}

pub fn append(path: &Path, bytes: &[u8]) {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).unwrap();
    }
    let mut file: File = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// Small, repeatable and good enough to choose by (splitmix64).
pub struct Random(pub u64);

impl Random {
    /// The seed of `MANADE_SEED`, or one of the clock; printed, so that a failure can be repeated.
    pub fn seeded() -> Self {
        let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as u64;
        let seed = std::env::var("MANADE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(clock);
        let seeded = Self(seed);
        seeded.show();
        seeded
    }

    /// How to come here again.
    #[expect(clippy::print_stdout, reason = "shown with a failure")]
    pub fn show(&self) {
        println!("MANADE_SEED={}", self.0);
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
