//! `--exec`: the program runs as if there were nothing between it and whoever ran it.

use std::process::Stdio;

use super::scene::Scene;
use crate::running::Running;

#[test]
fn it_ends_as_the_program_does() {
    let scene = Scene::echoing();
    for (program, code) in [
        (&["sh", "-c", "exit 0"][..], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "kill -TERM $$"], 128 + 15),
        (&["sh", "-c", "kill -KILL $$"], 128 + 9),
        (&["no-such-program"], 127),
        (&["/"], 126),
    ] {
        let mut args = vec!["--exec", "--"];
        args.extend(program);
        let ran = scene.run(&args);
        assert_eq!(ran.status.code(), Some(code), "{program:?}");
    }
    let ran = scene.run(&["--check", "--exec", "--", "true"]);
    assert_eq!(ran.status.code(), Some(2), "one or the other");
}

#[test]
fn signals_reach_it() {
    let scene = Scene::echoing();
    for (name, code) in [("TERM", 5), ("INT", 6), ("HUP", 7), ("USR1", 8)] {
        let script =
            format!("trap 'kill $!; exit {code}' {name}; tail -f /dev/null & echo ready; wait");
        let mut command = scene.command(&["--exec", "--", "sh", "-c", &script]);
        command.stderr(Stdio::null());
        let mut process = Running::start(command);
        process.wait_for(|line| line == "ready");
        process.signal(name);
        assert_eq!(process.wait().code(), Some(code), "{name}");
    }
}

#[test]
fn its_variables_lead_it_to_the_server() {
    let scene = Scene::echoing();
    let script = "curl -sS \"$OPENAI_BASE_URL/models\" -H \"authorization: Bearer $OPENAI_API_KEY\"; echo; echo $OPENAI_API_KEY";
    let mut command = scene.command(&[
        "--api-key-variable",
        "OPENAI_API_KEY",
        "--exec",
        "--",
        "sh",
        "-c",
        script,
    ]);
    // Whatever proxy leads out of this machine.
    command.env("http_proxy", "http://127.0.0.1:1");
    let ran = command.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(said.contains("\"object\": \"echo\""), "{said}");
    assert!(
        !said.contains(scene.key()),
        "the real key is none of its business"
    );
}
