//! `--wait` beside a gateway that vanished, and how that one is forgotten.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use tempfile::tempdir;

use crate::running::{Dev, countersign};

/// Lists a gateway that was seen once, long ago but not too long.
fn add_ghost(dev: &Dev) {
    let file = rusqlite::Connection::open(dev.directory.join("countersign.db")).unwrap();
    file.busy_timeout(std::time::Duration::from_secs(5))
        .unwrap();
    let sql = "INSERT INTO gateways (id, name, revision, seen_at) \
               VALUES ('gw_ghost', 'ghost', 1, unixepoch() - 600)";
    file.execute_batch(sql).unwrap();
}

/// Lists a gateway of an earlier version, which asks for bundles and has the latest one.
fn add_old(dev: &Dev) {
    let file = rusqlite::Connection::open(dev.directory.join("countersign.db")).unwrap();
    file.busy_timeout(std::time::Duration::from_secs(5))
        .unwrap();
    let sql = "INSERT INTO gateways (id, name, revision, token, seen_at) \
               SELECT 'gw_old', 'old', revision, token, unixepoch() FROM history \
               ORDER BY revision DESC LIMIT 1 ON CONFLICT (id) DO UPDATE SET \
               revision = excluded.revision, token = excluded.token, seen_at = excluded.seen_at";
    file.execute_batch(sql).unwrap();
}

/// What `gateway status` says of the one of an earlier version, which has the latest bundle.
fn old_one(dev: &Dev) -> serde_json::Value {
    add_old(dev);
    let listed = dev.json(&["gateway", "status"]);
    let mut listed = listed.as_array().unwrap().iter();
    listed.find(|each| each["name"] == "old").unwrap().clone()
}

#[test]
fn a_gateway_that_does_not_understand_denials_never_counts_as_enforcing_one() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let before = old_one(&dev);
    assert_eq!(
        (&before["current"], before.get("lacks")),
        (&true.into(), None)
    );
    let leaf = "ab".repeat(32);
    let deny = ["denial", "add", "--leaf", &leaf, "--name", "stolen"];
    let preview = dev.command(&[&deny[..], &["--preview", "-o", "table"]].concat());
    let warning = "NOT enforced by gateway old (gw_old): its version does not understand denials";
    let said = { preview }.output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains(warning), "{said}");
    let wait = ["--yes", "--wait", "--wait-timeout", "1s"];
    let ran = dev.command(&[&deny[..], &wait].concat()).output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(said.contains(warning), "{said}");
    let failed = "is not enforced yet by: old (gw_old, of an earlier version";
    assert!(
        said.contains(failed) && said.contains("hint: upgrade"),
        "{said}"
    );
    let with = old_one(&dev);
    assert_eq!(
        (&with["current"], &with["lacks"][0]),
        (&false.into(), &"denials".into())
    );
    let removed = dev
        .command(&["denial", "remove", "stolen", "--yes"])
        .output();
    assert!(removed.unwrap().status.success());
    assert_eq!(old_one(&dev)["current"], true);
}

#[test]
fn a_gateway_that_vanished_is_waited_for_until_it_is_forgotten() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    let id = dev.upload("dev");
    add_ghost(&dev);
    let states = loop {
        let listed = dev.json(&["gateway", "status"]);
        let mut states = listed.as_array().unwrap().clone();
        states.sort_by_key(|each| each["name"].to_string());
        // The upload was a change, which the live gateway reports a little later.
        if states[0]["current"] == true {
            break states;
        }
    };
    assert_eq!(
        (&states[0]["state"], &states[0]["current"]),
        (&"live".into(), &true.into())
    );
    assert_eq!(
        (&states[1]["state"], &states[1]["current"]),
        (&"missing".into(), &false.into())
    );

    let wait = [
        "certificate",
        "activate",
        &id,
        "--wait",
        "--wait-timeout",
        "2s",
    ];
    let ran = dev.command(&wait).output().unwrap();
    let printed = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{printed}");
    let ghost = "ghost (gw_ghost, missing, last seen ";
    assert!(
        printed.contains(&format!("waiting for {ghost}")),
        "{printed}"
    );
    let failed = "the change was made, but is not enforced yet by: ghost (gw_ghost, missing";
    assert!(printed.contains(failed), "{printed}");
    assert!(printed.contains("countersign gateway forget"), "{printed}");

    interrupt(&dev, &id);

    let text = directory.path().to_str().unwrap();
    let file = directory.path().join("operator.key");
    let key = file.to_str().unwrap();
    let mut make = countersign(&["gateway-key", "create", "--name", "operator"]);
    let made = make.args(["--data-dir", text, "--key-file", key]).output();
    assert!(made.unwrap().status.success());
    let unknown = ["gateway", "forget", "nobody", "--key-file", key];
    assert_eq!(
        dev.command(&unknown).output().unwrap().status.code(),
        Some(1)
    );
    let forgotten = dev.json(&["gateway", "forget", "ghost", "--key-file", key]);
    assert_eq!(forgotten["id"], "gw_ghost");
    dev.json(&["certificate", "activate", &id, "--wait"]);
}

/// Ctrl-C ends the waiting and says what is so.
fn interrupt(dev: &Dev, id: &str) {
    let wait = [
        "certificate",
        "deactivate",
        id,
        "--yes",
        "--allow-disarm",
        "--wait",
        "--wait-timeout",
        "10m",
    ];
    let mut waiting = dev.command(&wait).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(waiting.stderr.take().unwrap());
    let mut printed = String::new();
    while !printed.contains("waiting for ghost") {
        assert!(stderr.read_line(&mut printed).unwrap() > 0, "{printed}");
    }
    press_ctrl_c(&waiting);
    stderr.read_to_string(&mut printed).unwrap();
    assert_eq!(waiting.wait().unwrap().code(), Some(130), "{printed}");
    let interrupted = "the change was made, but is not known to be enforced by: ghost";
    assert!(printed.contains(interrupted), "{printed}");
}

fn press_ctrl_c(program: &Child) {
    let pid = program.id().to_string();
    let sent = Command::new("kill").args(["-s", "INT", &pid]).status();
    assert!(sent.unwrap().success());
}

/// Reads the head of a request, and its body as far as it says one comes.
fn read_request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let from = head.len();
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        let line = head[from..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    head
}

/// Answers that this server is not one that can preview, which is asked first.
fn cannot_preview(mut stream: &TcpStream) {
    let head = read_request(stream);
    assert!(head.contains("/countersign/extensions"), "{head}");
    write!(
        stream,
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
    )
    .unwrap();
}

/// An activation at a stand-in, which waits for its gateways.
fn activate_at(url: &str) -> Command {
    let answers = ["--yes", "--allow-refusals", "--wait"];
    let what = ["certificate", "activate", "cert_a"];
    let mut command = countersign(&[&what[..], &answers].concat());
    command.args(["-o", "json", "--base-url", url]);
    command.env("OPENAI_ADMIN_KEY", "sk-admin-a");
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

#[test]
fn ctrl_c_after_the_change_was_sent_says_what_is_known_of_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let ask = || {
        let mut command = activate_at(&url);
        let program = command.spawn().unwrap();
        let (stream, _) = listener.accept().unwrap();
        cannot_preview(&stream);
        let head = read_request(&stream);
        assert!(head.starts_with("POST "), "{head}");
        (program, stream)
    };
    let told = |mut program: Child| {
        press_ctrl_c(&program);
        let mut told = String::new();
        let mut stderr = program.stderr.take().unwrap();
        stderr.read_to_string(&mut told).unwrap();
        assert_eq!(program.wait().unwrap().code(), Some(130), "{told}");
        told
    };

    let (program, _unanswered) = ask();
    let said = told(program);
    assert!(
        said.contains("whether the change was made is not known"),
        "{said}"
    );

    let (program, mut stream) = ask();
    let body = r#"{"object":"organization.certificate.activation","data":[]}"#;
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncountersign-revision: 7";
    write!(stream, "{head}\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
    // Then it asks who enforces it, on this connection.
    let head = read_request(&stream);
    assert!(head.contains("/countersign/gateways"), "{head}");
    let said = told(program);
    let wanted = "the change was made, but is not known to be enforced by: any gateway";
    assert!(said.contains(wanted), "{said}");
}

/// What `activate --wait` says of its change, by what the server answers.
fn waited(change: &str, asked: &str, gateways: &str) -> (Option<i32>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let mut command = activate_at(&url);
    let program = command.spawn().unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    cannot_preview(&stream);
    let mut answer = |path: &str, head: &str, body: &str| {
        let asked = read_request(&stream);
        assert!(asked.contains(path), "{asked}");
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{head}");
        write!(stream, "{head}content-length: {length}\r\n\r\n{body}").unwrap();
    };
    let activated = r#"{"object":"organization.certificate.activation","data":[]}"#;
    answer("/activate", change, activated);
    answer(asked, "", gateways);
    let output = program.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

const CHANGE: &str =
    "countersign-revision: 7\r\ncountersign-token: 000102030405060708090a0b0c0d0e0f\r\n";
const ASKED: &str = "/gateways?revision=7&token=000102030405060708090a0b0c0d0e0f ";

#[test]
fn a_change_that_a_failover_lost_is_not_in_force() {
    // No gateway is behind: all of them follow the database that was put back.
    let behind = r#"{"revision":5,"gateways":[]}"#;
    let (code, said) = waited("countersign-revision: 7\r\n", "/gateways ", behind);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is lost"), "{said}");
    assert!(said.contains("back at revision 5"), "{said}");
}

#[test]
fn a_change_whose_history_was_lost_and_overtaken_is_not_in_force() {
    let gateways =
        r#"[{"id":"gw_a","name":"a","revision":9,"state":"live","durable":true,"seen_at":3}]"#;
    let answer = |lost: &str| format!(r#"{{"revision":9,"gateways":{gateways}{lost}}}"#);
    let (code, said) = waited(CHANGE, ASKED, &answer(r#","lost":true"#));
    assert_eq!(code, Some(1), "{said}");
    let wanted = "the change was made as revision 7, and is lost";
    assert!(said.contains(wanted), "{said}");
    assert!(said.contains("revision 7 is another change"), "{said}");
    // In the same history, and where a server cannot tell.
    for lost in [r#","lost":false"#, ""] {
        let (code, said) = waited(CHANGE, ASKED, &answer(lost));
        assert_eq!(code, Some(0), "{said}");
    }
}
