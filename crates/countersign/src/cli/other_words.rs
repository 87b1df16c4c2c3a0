//! Words of other command lines, for those who know these: what is called otherwise here.

use clap::Command;

/// Nouns that people look for, and what is meant.
const NOUNS: &[(&[&str], &str)] = &[
    (
        &[
            "ca", "cas", "cert", "certs", "anchor", "anchors", "trust", "root", "roots", "bundle",
        ],
        "trust anchors are `countersign certificate`",
    ),
    (
        &["audit", "log", "logs", "history", "event", "events"],
        "changes are in `countersign audit-log list`; what is refused in `countersign explain`",
    ),
    (
        &[
            "user",
            "users",
            "account",
            "accounts",
            "client",
            "clients",
            "workload",
            "workloads",
        ],
        "clients call as a `countersign service-account`; who called lately says `countersign certificate usage NAME`",
    ),
    (
        &[
            "key", "keys", "apikey", "apikeys", "token", "tokens", "secret",
        ],
        "a project's keys are `countersign api-key`, the organization's `countersign admin-key`; tokens in their place come of a `countersign workload-identity-provider`",
    ),
    (
        &["org", "orgs", "tenant", "tenants"],
        "`countersign organization`, on the server's machine",
    ),
    (&["hook", "hooks", "notification"], "`countersign webhook`"),
    (
        &["rotate", "renew", "replace", "rollover"],
        "`countersign rotation start OLD NEW` begins to replace one trust anchor with another",
    ),
    (
        &["policy", "policies", "rule", "rules"],
        "a policy belongs to a trust anchor: `countersign certificate set-policy NAME --policy CEL`; rules for tokens are `countersign federation-rule`",
    ),
    (
        &[
            "provider",
            "providers",
            "idp",
            "identity",
            "wif",
            "federation",
            "spiffe",
            "oidc",
        ],
        "`countersign workload-identity-provider` makes attributes of certificates, `countersign federation-rule` says which get tokens of which service account",
    ),
    (
        &["test", "tests", "check", "simulate", "try"],
        "`countersign verify --chain FILE --project NAME` judges a client; `--preview` with a change says whom it would refuse",
    ),
    (
        &["revoke", "ban", "block", "deny", "disable", "kick"],
        "one client's certificate, key or name: `countersign denial add`; everyone under a CA: `countersign certificate deactivate NAME`; what a CA issued before a time: `countersign certificate update NAME --refuse-issued-before TIME`; what its list names: `countersign certificate crl add NAME FILE`; a key of the API: `countersign api-key delete NAME --project NAME`",
    ),
    (
        &["crl", "crls", "revocation", "revocations", "ocsp"],
        "a revocation list belongs to a trust anchor: `countersign certificate crl add NAME FILE`",
    ),
    (
        &["import", "dump", "save", "sync", "diff"],
        "`countersign export FILE` writes the set-up to a file, `countersign plan FILE` compares, `countersign apply FILE` brings it back",
    ),
    (
        &["why", "denied", "refused", "error", "errors", "debug"],
        "`countersign explain` lists what was refused and why",
    ),
    (
        &["init", "start", "run", "server", "up", "demo"],
        "`countersign dev` starts all of it here for trying out, `countersign serve` the control plane",
    ),
    (
        &["info", "overview", "ps", "health", "ping"],
        "`countersign status`, or `countersign doctor` for the set-up",
    ),
    (
        &["login", "auth", "configure"],
        "there is no login: set `OPENAI_ADMIN_KEY`, or pass `--admin-key-file FILE`",
    ),
];

/// Verbs that people look for, and those that mean it here; the first that a noun has.
const VERBS: &[(&[&str], &[&str])] = &[
    (
        &["add", "new", "import", "put", "register", "create", "make"],
        &["upload", "create", "add", "start"],
    ),
    (
        &["enable", "on", "enforce", "attach", "apply"],
        &["activate", "start"],
    ),
    (
        &["disable", "off", "revoke", "detach", "remove", "block"],
        &["deactivate", "archive", "delete"],
    ),
    (
        &["destroy", "del", "erase", "drop", "delete", "purge"],
        &["delete", "archive", "abort", "forget"],
    ),
    (
        &["describe", "view", "info", "read", "cat", "download"],
        &["retrieve", "status", "list"],
    ),
    (
        &["edit", "rename", "modify", "set", "change", "patch"],
        &["update"],
    ),
    (&["policy", "cel", "restrict"], &["set-policy"]),
    (
        &[
            "search", "query", "tail", "all", "show", "get", "list", "ls",
        ],
        &["find", "list", "status"],
    ),
    (
        &["validate", "check", "lint"],
        &["inspect", "run", "verify"],
    ),
    (
        &["complete", "end", "done", "commit", "promote"],
        &["finish"],
    ),
    (&["cancel", "undo", "rollback", "stop"], &["abort"]),
    (&["clients", "uses", "users", "who"], &["usage"]),
];

/// Flags that people look for, and what to give.
const FLAGS: &[(&[&str], &str)] = &[
    (
        &["--json", "--yaml", "--format", "--output-format", "--wide"],
        "`-o json` sets the format; `-o` takes table, json, jsonl and yaml",
    ),
    (
        &["--dry-run", "--what-if", "--simulate", "--plan", "--noop"],
        "`--preview` says what a change would do, where it can refuse somebody, and changes nothing; for a file, `countersign plan`",
    ),
    (
        &[
            "-y",
            "--assume-yes",
            "--confirm",
            "--no-confirm",
            "--non-interactive",
        ],
        "`--yes` answers the question",
    ),
    (
        &["--force", "-f"],
        "`--yes` answers the question; `--allow-refusals` allows observed clients to be refused",
    ),
    (
        &[
            "--url",
            "--server",
            "--host",
            "--endpoint",
            "--api-url",
            "--address",
        ],
        "`--base-url URL`, with its version, as in `http://127.0.0.1:8085/v1`",
    ),
    (
        &["--key", "--token", "--api-key", "--admin-key", "--password"],
        "give the admin key in `OPENAI_ADMIN_KEY` or with `--admin-key-file FILE`: on a command line it stays in the shell's history",
    ),
    (
        &["--cert", "--client-cert", "--certificate"],
        "`--client-certificate FILE` with `--client-key FILE` presents a client certificate",
    ),
    (
        &["--ca", "--cacert", "--ca-cert", "--ca-file"],
        "`--server-ca FILE` trusts a server's CA",
    ),
    (
        &[
            "-k",
            "--insecure",
            "--skip-verify",
            "--insecure-skip-tls-verify",
        ],
        "a server's certificate is always verified: trust its CA with `--server-ca FILE`",
    ),
    (
        &["--org", "--organization", "--tenant"],
        "the organization is the key's own",
    ),
    (
        &["-p", "--proj", "--namespace", "-n"],
        "`--project ID|NAME`",
    ),
    (
        &["--report-only", "--shadow", "--monitor", "--audit"],
        "`--report` judges and counts, and refuses nothing",
    ),
    (
        &["--watch", "-w", "--tail"],
        "`--follow` keeps printing, at `explain` and `audit-log list`",
    ),
    (&["--count", "--max", "--num"], "`--limit N`"),
    (
        &["-v", "--verbose", "--debug"],
        "there is nothing more to say; `countersign doctor` checks the set-up",
    ),
];

/// What is said of a word that is no noun and no verb of the noun before it.
pub(super) fn hint_of_word(root: &Command, word: &str, given: &[String]) -> Option<String> {
    let word = word.to_lowercase();
    let said = given.iter().find_map(|each| root.find_subcommand(each));
    let Some(noun) = said else {
        let found = NOUNS
            .iter()
            .find(|(words, _)| words.contains(&word.as_str()));
        return found.map(|(_, meant)| (*meant).to_owned());
    };
    // A project's keys belong to its service accounts.
    let is_new = || {
        VERBS
            .first()
            .is_some_and(|(words, _)| words.contains(&word.as_str()))
    };
    if noun.get_name() == "api-key" && is_new() {
        return Some("`countersign service-account create`".to_owned());
    }
    let mut meant = VERBS
        .iter()
        .filter(|(words, _)| words.contains(&word.as_str()))
        .flat_map(|(_, verbs)| verbs.iter());
    let verb = meant.find(|verb| noun.find_subcommand(verb).is_some())?;
    Some(format!("`countersign {} {verb}`", noun.get_name()))
}

/// What is said of a flag that there is not.
pub(super) fn hint_of_flag(flag: &str) -> Option<&'static str> {
    let flag = flag.split(['=', ' ']).next().unwrap_or(flag).to_lowercase();
    let found = FLAGS
        .iter()
        .find(|(flags, _)| flags.contains(&flag.as_str()));
    found.map(|(_, meant)| *meant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;

    fn told(line: &str) -> Option<String> {
        let given: Vec<String> = line.split(' ').map(str::to_owned).collect();
        hint_of_word(&Cli::root(), given.last().unwrap(), &given)
    }

    #[test]
    fn a_word_of_other_tools_leads_to_the_one_here() {
        for (line, command) in [
            ("certificate add", "`countersign certificate upload`"),
            ("certificate revoke", "`countersign certificate deactivate`"),
            ("project remove", "`countersign project archive`"),
            ("api-key revoke", "`countersign api-key delete`"),
            ("rotation complete", "`countersign rotation finish`"),
            ("gateway list", "`countersign gateway status`"),
            ("api-key create", "`countersign service-account create`"),
        ] {
            let said = told(line);
            assert_eq!(said.as_deref(), Some(command), "{line}");
        }
        assert!(told("logs").unwrap().contains("audit-log"));
        assert!(told("revoke").unwrap().contains("api-key delete"));
        assert_eq!(told("frobnicate"), None);
    }

    #[test]
    fn every_command_that_is_named_is_there() {
        let root = Cli::root();
        let texts = NOUNS.iter().map(|(_, meant)| meant);
        let texts = texts.chain(FLAGS.iter().map(|(_, meant)| meant));
        let mut named = 0;
        for text in texts {
            let commands = text.split('`').skip(1).step_by(2);
            for command in commands.filter_map(|each| each.strip_prefix("countersign ")) {
                let mut words = command.split(' ');
                let noun = root.find_subcommand(words.next().unwrap()).expect(command);
                let verb = words.next().filter(|_| noun.has_subcommands());
                assert!(
                    verb.is_none_or(|verb| noun.find_subcommand(verb).is_some()),
                    "{command}"
                );
                named += 1;
            }
        }
        assert!(named > 20, "{named}");
        for flag in ["--json", "--dry-run", "--force=true", "-k"] {
            assert!(hint_of_flag(flag).is_some(), "{flag}");
        }
        for (flags, _) in FLAGS {
            let own = |flag: &&&str| {
                root.get_arguments().any(|each| {
                    each.get_long()
                        .is_some_and(|long| **flag == format!("--{long}"))
                })
            };
            assert_eq!(flags.iter().find(own), None);
        }
    }
}
