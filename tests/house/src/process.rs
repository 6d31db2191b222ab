//! One `portals` process: its output kept, its addresses read from its log.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::File,
    io::Write,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    time::timeout,
};

/// The longest that anything here is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running process.
pub struct Process {
    child: Child,
    addresses: watch::Receiver<BTreeMap<String, String>>,
}

impl Process {
    /// Starts `binary` with these arguments and nothing in its environment but `environment`; what it prints goes
    /// into `output`.
    pub fn start(binary: &Path, arguments: &[String], environment: &[(&str, String)], output: &Path) -> Self {
        let mut child = Command::new(binary)
            .args(arguments)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary was built with this test");
        let file = File::options().create(true).append(true).open(output).expect("the log can be written");
        let file = Arc::new(file);
        let (found, addresses) = watch::channel(BTreeMap::new());
        let stderr = child.stderr.take().expect("it was asked for");
        let stdout = child.stdout.take().expect("it was asked for");
        tokio::spawn(keep(stderr, Arc::clone(&file), Some(found)));
        tokio::spawn(keep(stdout, file, None));
        Self { child, addresses }
    }

    /// The address that the process says it listens on under this name, such as `http`, `registry`, `ops`.
    ///
    /// # Panics
    ///
    /// When it does not come to say so.
    pub async fn address(&self, name: &str) -> String {
        let mut addresses = self.addresses.clone();
        let found = timeout(PATIENCE, addresses.wait_for(|addresses| addresses.contains_key(name))).await;
        let found = found.expect("it starts in time").expect("it does not end before it listens");
        found.get(name).cloned().unwrap_or_default()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Kills it as the kernel would, and waits until it is gone.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(id.expect("it runs"), signal).expect("it runs");
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").expect("it can be waited for")
    }
}

/// Copies what a process prints, and reads where it listens.
async fn keep(
    from: impl AsyncRead + Unpin,
    mut file: Arc<File>,
    found: Option<watch::Sender<BTreeMap<String, String>>>,
) {
    let mut lines = BufReader::new(from).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        // The test that needs what could not be written fails by itself.
        let _written = file.write_all(&line).and_then(|()| file.write_all(b"\n"));
        if let (Some(found), Some((name, address))) = (&found, listening(&line)) {
            found.send_modify(|addresses| {
                addresses.insert(name, address);
            });
        }
    }
}

/// The name and address of a `listening` event.
fn listening(line: &[u8]) -> Option<(String, String)> {
    memchr::memmem::find(line, b"\"listening\"")?;
    let event: Value = serde_json::from_slice(line).ok()?;
    let fields = event.get("fields")?;
    (fields.get("message")? == "listening").then_some(())?;
    Some((fields.get("service")?.as_str()?.to_owned(), fields.get("address")?.as_str()?.to_owned()))
}
