//! What the reference API answers: each object, its properties, and which of them may be absent,
//! null, or one of several words.

/// What a property holds.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Id(&'static str),
    Text(&'static str),
    Time,
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    Object(Shape),
}

use Kind::{Flag, Id, Object, Text, Time, Word};

/// The properties of an object.
pub(crate) type Shape = &'static [Property];

#[derive(Clone, Copy)]
pub(crate) struct Property {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) optional: bool,
    pub(crate) nullable: bool,
}

const fn has(name: &'static str, kind: Kind) -> Property {
    Property {
        name,
        kind,
        optional: false,
        nullable: false,
    }
}

const fn may(name: &'static str, kind: Kind) -> Property {
    Property {
        optional: true,
        ..has(name, kind)
    }
}

impl Property {
    const fn or_null(mut self) -> Self {
        self.nullable = true;
        self
    }
}

const DETAILS: Shape = &[
    may("valid_at", Time),
    may("expires_at", Time),
    may("content", Text("-----BEGIN CERTIFICATE-----")),
];

pub(crate) const CERTIFICATE: Shape = &[
    has(
        "object",
        Word(&[
            "certificate",
            "organization.certificate",
            "organization.project.certificate",
        ]),
    ),
    has("id", Id("cert_abc")),
    has("name", Text("mesh")).or_null(),
    has("created_at", Time),
    has("certificate_details", Object(DETAILS)),
    may("active", Flag),
];

pub(crate) const SCOPED_CERTIFICATE: Shape = &[
    has(
        "object",
        Word(&[
            "organization.certificate",
            "organization.project.certificate",
        ]),
    ),
    has("id", Id("cert_abc")),
    has("name", Text("mesh")).or_null(),
    has("created_at", Time),
    has("certificate_details", Object(DETAILS)),
    has("active", Flag),
];

pub(crate) const DELETED_CERTIFICATE: Shape = &[
    has("object", Word(&["certificate.deleted"])),
    has("id", Id("cert_abc")),
];

pub(crate) const PROJECT: Shape = &[
    has("id", Id("proj_abc")),
    has("object", Word(&["organization.project"])),
    may("name", Text("payments")).or_null(),
    has("created_at", Time),
    may("archived_at", Time).or_null(),
    may("status", Word(&["active", "archived"])).or_null(),
    may("external_key_id", Text("ext")).or_null(),
    may(
        "residency",
        Word(&["GLOBAL", "EU_STORAGE_PROCESSING", "JP_STORAGE"]),
    ),
];

pub(crate) const SERVICE_ACCOUNT: Shape = &[
    has("object", Word(&["organization.project.service_account"])),
    has("id", Id("svc_acct_abc")),
    has("name", Text("robot")),
    has("role", Word(&["owner", "member", "none"])),
    has("created_at", Time),
];

pub(crate) const SERVICE_ACCOUNT_KEY: Shape = &[
    has(
        "object",
        Word(&["organization.project.service_account.api_key"]),
    ),
    has("value", Text("sk-shown-once")),
    has("name", Text("robot")),
    has("created_at", Time),
    has("id", Id("key_abc")),
];

pub(crate) const CREATED_SERVICE_ACCOUNT: Shape = &[
    has("object", Word(&["organization.project.service_account"])),
    has("id", Id("svc_acct_abc")),
    has("name", Text("robot")),
    has("role", Word(&["member", "none"])),
    has("created_at", Time),
    has("api_key", Object(SERVICE_ACCOUNT_KEY)).or_null(),
];

pub(crate) const DELETED_SERVICE_ACCOUNT: Shape = &[
    has(
        "object",
        Word(&["organization.project.service_account.deleted"]),
    ),
    has("id", Id("svc_acct_abc")),
    has("deleted", Flag),
];

pub(crate) const PROJECT_KEY: Shape = &[
    has("object", Word(&["organization.project.api_key"])),
    has("redacted_value", Text("sk-***wxyz")),
    has("name", Text("robot")),
    has("created_at", Time),
    has("last_used_at", Time).or_null(),
    has("id", Id("key_abc")),
    has("owner_project_access", Word(&["active", "inactive"])),
    has(
        "owner",
        Object(&[
            may("type", Word(&["user", "service_account"])),
            may(
                "user",
                Object(&[
                    has("id", Id("user-abc")),
                    has("email", Text("ada@example.com")),
                    has("name", Text("Ada")),
                    has("created_at", Time),
                    has("role", Word(&["owner", "member"])),
                ]),
            ),
            may(
                "service_account",
                Object(&[
                    has("id", Id("svc_acct_abc")),
                    has("name", Text("robot")),
                    has("created_at", Time),
                    has("role", Word(&["owner", "member"])),
                ]),
            ),
        ]),
    ),
];

pub(crate) const DELETED_PROJECT_KEY: Shape = &[
    has("object", Word(&["organization.project.api_key.deleted"])),
    has("id", Id("key_abc")),
    has("deleted", Flag),
];

const ADMIN_KEY_OWNER: Shape = &[
    may("type", Text("user")),
    may("object", Text("organization.user")),
    may("id", Id("sa_456")),
    may("name", Text("Ada")),
    may("created_at", Time),
    may("role", Text("owner")),
];

pub(crate) const ADMIN_KEY: Shape = &[
    has("object", Word(&["organization.admin_api_key"])),
    has("id", Id("key_abc")),
    may("name", Text("ci")).or_null(),
    has("redacted_value", Text("sk-admin-***wxyz")),
    has("created_at", Time),
    has("expires_at", Time).or_null(),
    may("last_used_at", Time).or_null(),
    has("owner", Object(ADMIN_KEY_OWNER)),
];

pub(crate) const CREATED_ADMIN_KEY: Shape = &[
    has("object", Word(&["organization.admin_api_key"])),
    has("id", Id("key_abc")),
    may("name", Text("ci")).or_null(),
    has("redacted_value", Text("sk-admin-***wxyz")),
    has("created_at", Time),
    has("expires_at", Time).or_null(),
    may("last_used_at", Time).or_null(),
    has("owner", Object(ADMIN_KEY_OWNER)),
    has("value", Text("sk-shown-once")),
];

pub(crate) const DELETED_ADMIN_KEY: Shape = &[
    has("object", Word(&["organization.admin_api_key.deleted"])),
    has("id", Id("key_abc")),
    has("deleted", Flag),
];

const USER: Shape = &[
    may("id", Id("user-abc")),
    may("email", Text("ada@example.com")),
];

pub(crate) const AUDIT_LOG: Shape = &[
    has("id", Id("audit_log-abc")),
    has(
        "type",
        Word(&[
            "certificate.updated",
            "login.succeeded",
            "tenant.domains.migrated",
        ]),
    ),
    has("effective_at", Time),
    may(
        "project",
        Object(&[may("id", Id("proj_abc")), may("name", Text("payments"))]),
    ),
    may(
        "actor",
        Object(&[
            may("type", Word(&["session", "api_key"])),
            may(
                "session",
                Object(&[
                    may("user", Object(USER)),
                    may("ip_address", Text("192.0.2.1")),
                ]),
            ),
            may(
                "api_key",
                Object(&[
                    may("id", Id("key_abc")),
                    may("type", Word(&["user", "service_account"])),
                    may("user", Object(USER)),
                    may("service_account", Object(&[may("id", Id("svc_acct_abc"))])),
                ]),
            ),
        ]),
    )
    .or_null(),
    may(
        "certificate.updated",
        Object(&[may("id", Id("cert_abc")), may("name", Text("mesh"))]),
    ),
];
