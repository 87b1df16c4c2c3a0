//! Examples for each command, as its help shows them. A test holds that every command has some and
//! that they can be parsed.

/// The words of a command, and lines that begin with them.
pub(super) const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "backup",
        &[
            "backup countersign-2026-11-20.db",
            "backup --data-dir /var/lib/countersign /backups/countersign.db",
        ],
    ),
    (
        "restore",
        &[
            "restore countersign-2026-11-20.db",
            "restore --replace --data-dir /var/lib/countersign /backups/countersign.db",
        ],
    ),
    (
        "serve",
        &[
            "serve --data-dir /var/lib/countersign",
            "serve --listen 0.0.0.0:8085 --tls-certificate server.pem --tls-key server.key",
        ],
    ),
    ("dev", &["dev", "dev --memory --listen 127.0.0.1:0"]),
    ("gateway", &["gateway --config gateway.toml"]),
    (
        "connect",
        &[
            "connect https://api.example.com/v1 --client-certificate client.pem --client-key client.key",
            "connect https://api.example.com/v1 --check",
            "connect https://api.example.com/v1 --exec -- python app.py",
            "connect --proxy --host api.example.com=client.pem,client.key --exec -- python app.py",
        ],
    ),
    (
        "gateway status",
        &["gateway status", "gateway status --key-file gateway.key"],
    ),
    (
        "gateway forget",
        &["gateway forget edge-7 --key-file gateway.key"],
    ),
    ("status", &["status", "status -o json"]),
    (
        "verify",
        &[
            "verify --chain client.pem --anchor ca.pem",
            "verify --chain client.pem --anchor ca.pem --crl ca.crl --crl-missing deny",
            "verify --chain client.pem --project payments",
        ],
    ),
    (
        "explain",
        &[
            "explain                # the latest refusals at all gateways",
            "explain --last         # the newest in full",
            "explain req_4tz0n6qk9c2r8w1x5y7v3m0b6d",
            "explain --follow",
        ],
    ),
    (
        "certificate list",
        &[
            "certificate list                      # where each is active",
            "certificate list --project payments",
            "certificate list --usage              # who still uses which",
        ],
    ),
    ("certificate find", &["certificate find ca.pem"]),
    (
        "certificate usage",
        &["certificate usage mesh-2026   # who still calls under it"],
    ),
    (
        "certificate retrieve",
        &[
            "certificate retrieve mesh-2026",
            "certificate retrieve mesh-2026 --pem > ca.pem",
        ],
    ),
    (
        "certificate upload",
        &[
            "certificate upload ca.pem --name mesh-2027",
            "certificate upload ca.pem --name mesh-2027 --activate --project payments --report",
        ],
    ),
    (
        "certificate update",
        &[
            "certificate update mesh --name mesh-2026",
            "certificate update mesh --crl-missing deny --preview",
        ],
    ),
    (
        "certificate crl add",
        &[
            "certificate crl add mesh mesh.crl --preview",
            "certificate crl add mesh --url http://ca.example.com/mesh.crl --interval 1h",
            "certificate crl add mesh issuing.crl --issuers issuing-ca.pem --yes --wait",
        ],
    ),
    ("certificate crl list", &["certificate crl list mesh"]),
    (
        "certificate crl remove",
        &["certificate crl remove mesh --yes --wait"],
    ),
    (
        "certificate set-policy",
        &[
            "certificate set-policy mesh-2027 --policy 'subject.common_name == \"worker\"' --preview",
            "certificate set-policy mesh-2027 --none",
        ],
    ),
    (
        "certificate delete",
        &["certificate delete mesh-2025 mesh-2026"],
    ),
    (
        "certificate activate",
        &[
            "certificate activate mesh-2027 --project payments --preview",
            "certificate activate mesh-2027 --project payments --report",
            "certificate activate mesh-2027 --project payments --wait",
        ],
    ),
    (
        "certificate deactivate",
        &["certificate deactivate mesh-2026 --project payments --preview"],
    ),
    ("certificate inspect", &["certificate inspect ca.pem"]),
    (
        "rotation start",
        &[
            "rotation start mesh-2026 mesh-2027 --wait",
            "rotation start mesh-2026 mesh-2027 --project payments --report",
        ],
    ),
    ("rotation list", &["rotation list"]),
    (
        "rotation status",
        &[
            "rotation status",
            "rotation status mesh-2027 --seen-within 7d",
        ],
    ),
    ("rotation finish", &["rotation finish --wait"]),
    ("rotation abort", &["rotation abort --wait"]),
    (
        "assertion add",
        &[
            "assertion add --project payments --chain worker.pem --expect permit",
            "assertion add --project payments --chain old.pem --expect deny --reason 'left in May'",
        ],
    ),
    ("assertion list", &["assertion list"]),
    ("assertion retrieve", &["assertion retrieve worker"]),
    (
        "assertion update",
        &["assertion update worker --name payments-worker"],
    ),
    ("assertion delete", &["assertion delete worker"]),
    ("assertion run", &["assertion run"]),
    (
        "denial add",
        &[
            "denial add worker.pem --name 'stolen laptop' --wait",
            "denial add --san DNS:worker.example.com --until 7d --reason 'under investigation'",
            "denial add --issuer 'CN=Issuing CA,O=Example' --serial 0a1b2c --preview",
        ],
    ),
    ("denial list", &["denial list"]),
    ("denial retrieve", &["denial retrieve 'stolen laptop'"]),
    ("denial remove", &["denial remove 'stolen laptop' --wait"]),
    ("plan", &["plan trust.toml"]),
    ("apply", &["apply trust.toml --wait"]),
    ("export", &["export trust.toml"]),
    (
        "expiring",
        &["expiring", "expiring --within 90d --exit-code"],
    ),
    ("refusal list", &["refusal list", "refusal list -o json"]),
    ("project list", &["project list"]),
    ("project create", &["project create --name payments"]),
    ("project retrieve", &["project retrieve payments"]),
    (
        "project update",
        &["project update payments --name billing"],
    ),
    ("project archive", &["project archive payments --preview"]),
    (
        "service-account list",
        &["service-account list --project payments"],
    ),
    (
        "service-account create",
        &["service-account create --name worker --project payments --key-file worker.key"],
    ),
    (
        "service-account retrieve",
        &["service-account retrieve worker --project payments"],
    ),
    (
        "service-account update",
        &["service-account update worker --role owner --project payments"],
    ),
    (
        "service-account delete",
        &["service-account delete worker --project payments --preview"],
    ),
    (
        "service-account create-key",
        &["service-account create-key worker --project payments --key-file next.key"],
    ),
    (
        "api-key list",
        &["api-key list --project payments   # and when each was last used"],
    ),
    (
        "api-key retrieve",
        &["api-key retrieve worker --project payments"],
    ),
    (
        "api-key delete",
        &["api-key delete worker --project payments --preview"],
    ),
    ("admin-key list", &["admin-key list"]),
    (
        "admin-key create",
        &["admin-key create --name ci --scopes api.mtls.read --expires-in 90d --key-file ci.key"],
    ),
    ("admin-key retrieve", &["admin-key retrieve ci"]),
    ("admin-key delete", &["admin-key delete ci"]),
    (
        "workload-identity-provider list",
        &["workload-identity-provider list"],
    ),
    (
        "workload-identity-provider create",
        &[
            "workload-identity-provider create --name mesh --attribute openai.subject=assertion.subject.common_name",
        ],
    ),
    (
        "workload-identity-provider retrieve",
        &["workload-identity-provider retrieve mesh"],
    ),
    (
        "workload-identity-provider update",
        &["workload-identity-provider update mesh --disable"],
    ),
    (
        "workload-identity-provider delete",
        &["workload-identity-provider delete mesh"],
    ),
    (
        "federation-rule list",
        &["federation-rule list --provider mesh"],
    ),
    (
        "federation-rule create",
        &[
            "federation-rule create --provider mesh --project payments --service-account billing --match 'openai.subject=worker-*'",
        ],
    ),
    (
        "federation-rule retrieve",
        &["federation-rule retrieve workers --provider mesh"],
    ),
    (
        "federation-rule update",
        &["federation-rule update workers --provider mesh --disable"],
    ),
    (
        "federation-rule test",
        &[
            "federation-rule test --provider mesh --project payments --service-account billing --chain worker.pem",
        ],
    ),
    ("token-key list", &["token-key list"]),
    ("token-key rotate", &["token-key rotate"]),
    (
        "federation-rule delete",
        &["federation-rule delete workers --provider mesh"],
    ),
    (
        "audit-log list",
        &[
            "audit-log list --since 1h",
            "audit-log list --type certificates.activated --project payments",
            "audit-log list --follow",
        ],
    ),
    ("audit-log head", &["audit-log head -o json > head.json"]),
    (
        "audit-log verify",
        &["audit-log verify", "audit-log verify --file audit.jsonl"],
    ),
    (
        "receipt verify",
        &["receipt verify access.log --audit audit.jsonl"],
    ),
    ("receipt-key list", &["receipt-key list"]),
    (
        "receipt-key withdraw",
        &["receipt-key withdraw rk_0123456789abcdefghjkmnpqrs"],
    ),
    ("webhook list", &["webhook list"]),
    (
        "webhook create",
        &["webhook create https://hooks.example/trust --key-file webhook.secret"],
    ),
    (
        "webhook retrieve",
        &["webhook retrieve https://hooks.example/trust"],
    ),
    (
        "webhook delete",
        &["webhook delete https://hooks.example/trust"],
    ),
    (
        "webhook test",
        &["webhook test https://hooks.example/trust"],
    ),
    (
        "webhook deliveries",
        &["webhook deliveries https://hooks.example/trust --limit 10"],
    ),
    (
        "organization create",
        &["organization create --name acme --key-file admin.key"],
    ),
    (
        "organization list",
        &["organization list --data-dir /var/lib/countersign"],
    ),
    (
        "organization create-key",
        &["organization create-key acme --name back-in --key-file admin.key"],
    ),
    (
        "gateway-key create",
        &["gateway-key create --name edge --key-file gateway.key"],
    ),
    ("gateway-key list", &["gateway-key list"]),
    ("gateway-key delete", &["gateway-key delete edge"]),
    ("config check", &["config check --config countersign.toml"]),
    ("config print", &["config print"]),
    ("doctor", &["doctor"]),
    (
        "completions",
        &[
            "completions bash > /etc/bash_completion.d/countersign",
            "completions zsh > ~/.zfunc/_countersign",
        ],
    ),
    ("man", &["man certificate upload | man -l -"]),
    ("version", &["version"]),
];
