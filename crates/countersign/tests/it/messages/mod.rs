//! What people do wrong, and what they are told: each line of the lists beside is run as it stands,
//! and its exit code and message are kept in `snapshots/`. Read those to review the messages.

mod scene;

use std::{
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use insta::assert_snapshot;
use regex_lite::Regex;

use self::scene::Scene;
use crate::shell::steady;

/// How many commands run at once where most of them wait. Those without a server are quick, and some
/// make what later ones use.
const AT_ONCE: usize = 8;

/// The lists that need no server, and change nothing but in directories of their own.
const OFFLINE: [(&str, &str); 6] = [
    ("arguments", include_str!("arguments.txt")),
    ("words", include_str!("words.txt")),
    ("files", include_str!("files.txt")),
    ("configuration", include_str!("configuration.txt")),
    ("database", include_str!("database.txt")),
    ("gateway", include_str!("gateway.txt")),
];

/// Those that ask a server.
const ONLINE: [(&str, &str); 3] = [
    ("servers", include_str!("servers.txt")),
    ("keys", include_str!("keys.txt")),
    ("changes", include_str!("changes.txt")),
];

fn commands(list: &'static str) -> Vec<&'static str> {
    let is_command = |line: &&str| !line.is_empty() && !line.starts_with('#');
    list.lines().filter(is_command).collect()
}

/// The exit code and the message of one command.
fn told(scene: &Scene, line: &str) -> String {
    // A server that starts after all would go on for ever.
    let ran = Command::new("timeout")
        .args(["20", "sh", "-c", line])
        .current_dir(scene.directory())
        .env_clear()
        .envs(scene.env())
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&ran.stderr);
    // What `clap` says on every mistake says nothing of this one.
    let usual = "\nFor more information, try '--help'.\n";
    let message = message.replace(usual, "");
    let exit = ran.status.code().unwrap();
    let port = Regex::new(r"(example):\d+").unwrap();
    let message = port.replace_all(&message, "$1:[port]");
    // It grows with every migration.
    let schema = Regex::new(r"this program's \d+").unwrap();
    let message = schema.replace_all(&message, "this program's [version]");
    steady(&format!("$ {line}\nexit {exit}\n{}\n", message.trim_end()))
}

/// Runs every command of a list; what each was told, in the list's order.
fn told_all(scene: &Scene, list: &'static str, at_once: usize) -> String {
    let commands = commands(list);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut told_here = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(command) = commands.get(number) else {
                return told_here;
            };
            told_here.push((number, told(scene, command)));
        }
    };
    let mut all: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        let told = workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap());
        told.collect()
    });
    all.sort();
    let all: Vec<String> = all.into_iter().map(|(_, told)| told).collect();
    all.join("\n")
}

#[test]
fn mistakes_that_need_no_server() {
    let scene = Scene::offline();
    for (name, list) in OFFLINE {
        assert_snapshot!(name, told_all(&scene, list, 1));
    }
}

#[test]
fn mistakes_with_a_server() {
    let scene = Scene::online();
    for (name, list) in ONLINE {
        assert_snapshot!(name, told_all(&scene, list, AT_ONCE));
    }
}

#[test]
fn there_are_three_hundred() {
    let lists = OFFLINE.iter().chain(&ONLINE);
    let all: usize = lists.map(|(_, list)| commands(list).len()).sum();
    assert!(all >= 300, "{all}");
}

/// A disk of 2 MiB in a namespace of its own, where the machine allows one.
#[test]
fn a_full_disk_is_called_full() {
    let scene = Scene::offline();
    let script = include_str!("full-disk.sh");
    let mounts = |script: &str| {
        Command::new("unshare")
            .args(["-rm", "sh", "-c", script])
            .current_dir(scene.directory())
            .env_clear()
            .envs(scene.env())
            .output()
    };
    let allowed = mounts("mkdir -p full && mount -t tmpfs -o size=2m tmpfs full");
    if !allowed.is_ok_and(|ran| ran.status.success()) {
        eprintln!("skipped: nothing can be mounted here");
        return;
    }
    let ran = mounts(script).unwrap();
    let told = [ran.stdout, ran.stderr].concat();
    assert_snapshot!("full_disk", steady(&String::from_utf8_lossy(&told)));
}
