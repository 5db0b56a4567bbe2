//! Traces reach a collector. The subscriber is the process's own, as is the environment: this test runs the binary's own start.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::mpsc,
    time::Duration,
};

use tandem_keeper::{config::LogConfig, telemetry};

/// A collector that answers 200 to everything and hands on what it was sent.
fn collector() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (sender, received) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            let mut bytes = Vec::new();
            let mut piece = [0; 4_096];
            while let Ok(read @ 1..) = stream.read(&mut piece) {
                bytes.extend_from_slice(&piece[..read]);
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
        }
    });
    (base, received)
}

#[test]
fn spans_are_sent_to_the_collector_that_the_environment_names() {
    const INSIDE: &str = "TANDEM_TEST_COLLECTOR";
    if std::env::var_os(INSIDE).is_none() {
        // The environment must be there before the process starts: nobody may change it later.
        let (base, received) = collector();
        let test = "otel::spans_are_sent_to_the_collector_that_the_environment_names";
        let done = std::process::Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(INSIDE, "1")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &base)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let sent = received.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!(sent.starts_with("POST /v1/traces "), "{sent}");
        for word in ["tandem-keeper", "request", "my-own-name"] {
            assert!(sent.contains(word), "{word}");
        }
        return;
    }
    telemetry::start_logs(&LogConfig::default()).unwrap();
    tracing::info_span!("request", id = "my-own-name").in_scope(|| tracing::info!("done"));
    telemetry::flush();
}
