//! Revocation lists that `openssl` makes, from the command line.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::tempdir;

use crate::{running::Dev, shell::seen};

/// A CA, two clients under it, and its list, which names the first of them, in PEM and DER.
pub(crate) fn openssl(directory: &Path) {
    let script = r#"
cat > ca.cnf <<'CNF'
[ca]
default_ca = partner
[partner]
database = index.txt
new_certs_dir = .
certificate = partner-ca.pem
private_key = partner-ca.key
crlnumber = crlnumber
default_md = sha256
default_days = 30
default_crl_days = 7
policy = any
rand_serial = yes
crl_extensions = list
x509_extensions = client
[any]
commonName = supplied
[list]
authorityKeyIdentifier = keyid
[client]
basicConstraints = CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
extendedKeyUsage = clientAuth
CNF
: > index.txt
echo 01 > crlnumber
key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
openssl req -x509 $key -keyout partner-ca.key -out partner-ca.pem -days 30 -subj "/CN=Partner CA" \
  -addext keyUsage=critical,keyCertSign,cRLSign
for name in partner other; do
  openssl req $key -keyout $name.key -out $name.csr -subj "/CN=$name"
  openssl ca -batch -notext -config ca.cnf -in $name.csr -out $name.pem
done
openssl ca -config ca.cnf -gencrl -out empty.crl
openssl ca -config ca.cnf -revoke partner.pem -crl_reason keyCompromise
openssl ca -config ca.cnf -gencrl -out partner.crl
openssl crl -in partner.crl -outform der -out partner.der
"#;
    let ran = Command::new("sh")
        .args(["-euc", script])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

#[test]
fn lists_are_added_in_pem_and_der_and_what_is_none_is_said() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    openssl(&dev.directory);
    let upload = ["certificate", "upload", "partner-ca.pem"];
    dev.json(&[&upload[..], &["--name", "partner"]].concat());
    let crl = |more: &[&str]| {
        let args = [&["certificate", "crl"], more].concat();
        seen(dev.command(&args))
    };
    for (file, wrong) in [
        ("partner-ca.pem", "no revocation list"),
        ("partner.key", "holds a private key; nothing was sent"),
        ("absent.crl", "absent.crl"),
    ] {
        let said = crl(&["add", "partner", file, "--yes"]);
        assert!(said.starts_with("exit 1") && said.contains(wrong), "{said}");
    }
    assert!(crl(&["remove", "partner", "--yes"]).contains("has no revocation list"));
    let add = |file: &str| dev.json(&["certificate", "crl", "add", "partner", file, "--yes"]);
    let first = add("empty.crl");
    assert_eq!(
        (&first["entries"], &first["number"]),
        (&0.into(), &"1".into())
    );
    let (pem, der) = (add("partner.crl"), add("partner.der"));
    assert_eq!(pem, der);
    let with_issuers = ["add", "partner", "partner.der", "--yes", "--issuers"];
    let key = crl(&[&with_issuers[..], &["partner.key"]].concat());
    assert!(key.starts_with("exit 1") && !key.contains("added"), "{key}");
    let again = crl(&[&with_issuers[..], &["partner-ca.pem"]].concat());
    assert!(again.starts_with("exit 0"), "{again}");
    let piped = File::open(dev.directory.join("partner.der")).unwrap();
    let mut command = dev.command(&["certificate", "crl", "add", "partner", "-", "--yes"]);
    assert!(command.stdin(piped).status().unwrap().success());
    assert_eq!((&pem["entries"], &pem["number"]), (&1.into(), &"2".into()));
    let older = crl(&["add", "partner", "empty.crl", "--yes"]);
    assert!(
        older.contains("has the number 1, and the kept one 2"),
        "{older}"
    );
    let listed = dev.json(&["certificate", "crl", "list", "partner"]);
    assert_eq!(listed[0], pem);
    let shown = seen(dev.command(&["certificate", "retrieve", "partner", "-o", "table"]));
    assert!(shown.contains("1 naming 1, current until"), "{shown}");
    let set = [
        "certificate",
        "update",
        "partner",
        "--crl-missing",
        "deny",
        "--yes",
    ];
    assert_eq!(dev.json(&set)["crl_missing"], "deny");
    let removed = dev.json(&["certificate", "crl", "remove", "partner", "--yes"]);
    assert_eq!(removed["deleted"], true);
}

/// A web server of a CA, which publishes what is in a directory.
struct Published {
    server: Child,
    origin: String,
}

impl Published {
    fn in_directory(directory: &Path) -> Self {
        let mut server = Command::new("python3")
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"])
            .current_dir(directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It says "Serving HTTP on 127.0.0.1 port 8000 (http://127.0.0.1:8000/) ...".
        let mut said = String::new();
        let stdout = server.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut said).unwrap();
        let port = said.split(' ').nth(5).unwrap();
        let origin = format!("http://127.0.0.1:{port}");
        Self { server, origin }
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn a_list_is_fetched_from_where_the_ca_publishes_it_and_what_is_no_list_changes_nothing() {
    let directory = tempdir().unwrap();
    let dev = Dev::start(directory.path());
    openssl(&dev.directory);
    let published = Published::in_directory(&dev.directory);
    dev.json(&[
        "certificate",
        "upload",
        "partner-ca.pem",
        "--name",
        "partner",
    ]);
    let url = |path: &str| format!("{}/{path}", published.origin);
    let add = |url: &str| {
        seen(dev.command(&[
            "certificate",
            "crl",
            "add",
            "partner",
            "--url",
            url,
            "--yes",
        ]))
    };
    for (path, wrong) in [
        ("absent.crl", "404"),
        ("partner-ca.pem", "no revocation list"),
    ] {
        let said = add(&url(path));
        assert!(said.starts_with("exit 1") && said.contains(wrong), "{said}");
    }
    let listed = || dev.json(&["certificate", "crl", "list", "partner"]);
    assert_eq!(listed().as_array().map(Vec::len), Some(0));
    let at = url("partner.der");
    let added = dev.json(&[
        "certificate",
        "crl",
        "add",
        "partner",
        "--url",
        &at,
        "--interval",
        "1h",
        "--yes",
    ]);
    assert_eq!(
        (&added["entries"], &added["url"]),
        (&1.into(), &at.as_str().into())
    );
    assert_eq!(added["interval"], 3600);
    let older = add(&url("empty.crl"));
    assert!(
        older.starts_with("exit 1") && older.contains("kept one"),
        "{older}"
    );
    assert_eq!(listed()[0]["url"], at);
}

#[test]
fn a_chain_is_verified_by_a_list() {
    let directory = tempdir().unwrap();
    openssl(directory.path());
    let verify = |chain: &str, more: &[&str]| {
        let args = [
            "verify",
            "-o",
            "table",
            "--chain",
            chain,
            "--anchor",
            "partner-ca.pem",
        ];
        let all = [&args, more].concat();
        let mut command = crate::running::countersign(&all);
        command.current_dir(directory.path());
        seen(command)
    };
    let by = &["--crl", "partner.der", "--crl-missing", "deny"];
    let revoked = verify("partner.pem", by);
    assert!(
        revoked.contains("revoked at") && revoked.contains("keyCompromise"),
        "{revoked}"
    );
    assert!(verify("other.pem", by).starts_with("exit 0"));
    assert!(verify("partner.pem", &[]).starts_with("exit 0"));
    let missing = verify("other.pem", &["--crl-missing", "deny"]);
    assert!(
        missing.contains("denies without a current one"),
        "{missing}"
    );
    let none = verify("other.pem", &["--crl", "other.pem"]);
    assert!(none.starts_with("exit 1"), "{none}");
}
