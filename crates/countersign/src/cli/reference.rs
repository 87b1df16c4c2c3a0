//! What a command takes wherever it takes an id: the id itself, or the name of the one thing that
//! has it. What can only be an id is used as it is; any other text is looked for in the list of all that
//! there are, also one that begins with a word and a hyphen as some ids do: things are called `org-mesh`.

use std::{fmt, str::FromStr};

use countersign_types::id::{
    ApiKeyId, AssertionId, CertificateId, DenialId, FederationRuleId, GatewayId, InvalidId,
    MAX_ID_BYTES, OrganizationId, ProjectId, RotationId, ServiceAccountId, WebhookId,
    WorkloadIdentityProviderId, prefix_of,
};

use crate::{
    failure::{CommandResult, Failure},
    likely::likely,
    output::printable,
};

/// How many names or ids a message lists.
const MOST_NAMED: usize = 5;
/// From how many characters after a prefix with a hyphen a text is taken for an id.
const MADE: usize = 16;

/// A kind of thing that has ids, and may have names.
pub(super) trait Identifier:
    FromStr<Err = InvalidId> + AsRef<str> + Clone + PartialEq
{
    /// The kind, in words.
    const KIND: &'static str;
    /// Its command, which lists them.
    const COMMAND: &'static str;

    /// The id that a person gives, on whatever server.
    fn given(text: &str) -> Result<Self, InvalidId>;
}

macro_rules! identifier {
    ($($id:ident: $kind:literal, $command:literal;)*) => {
        $(impl Identifier for $id {
            const KIND: &'static str = $kind;
            const COMMAND: &'static str = $command;

            fn given(text: &str) -> Result<Self, InvalidId> {
                Self::given(text)
            }
        })*
    };
}

identifier! {
    ApiKeyId: "key", "list";
    AssertionId: "assertion", "assertion list";
    CertificateId: "certificate", "certificate list";
    DenialId: "denial", "denial list";
    FederationRuleId: "federation rule", "federation-rule list";
    GatewayId: "gateway", "gateway status";
    OrganizationId: "organization", "organization list";
    ProjectId: "project", "project list";
    RotationId: "rotation", "rotation list";
    ServiceAccountId: "service account", "service-account list";
    WebhookId: "webhook", "webhook list";
    WorkloadIdentityProviderId: "workload identity provider", "workload-identity-provider list";
}

/// An id or a name, as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference<I> {
    given: String,
    /// The id, if the text has the form of one.
    id: Option<I>,
    /// Whether it is one, and no name.
    is_made: bool,
}

/// One of all things of a kind.
pub(super) struct Entry<I> {
    pub(super) id: I,
    pub(super) name: Option<String>,
    /// Whether it is in use no more: such a thing is found by its name only if nothing else has it.
    pub(super) retired: bool,
}

impl<I> Entry<I> {
    /// A thing that is in use.
    pub(super) fn new(id: I, name: Option<String>) -> Self {
        Self {
            id,
            name,
            retired: false,
        }
    }
}

/// Where the things of a kind are.
pub(super) trait Directory<I> {
    /// All of them, if they can be listed.
    async fn entries(&self) -> CommandResult<Listing<I>>;
}

/// What there is of a kind.
pub(super) enum Listing<I> {
    All(Vec<Entry<I>>),
    /// There is no such list, though each may be known by its id.
    None,
    /// The key may not list them.
    Forbidden,
}

impl<I> Listing<I> {
    /// Those that are known.
    pub(super) fn known(self) -> Vec<Entry<I>> {
        match self {
            Self::All(all) => all,
            Self::None | Self::Forbidden => Vec::new(),
        }
    }
}

impl<I: Identifier> FromStr for Reference<I> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let is_made = is_made(text);
        let id = match text.parse() {
            Ok(id) => Some(id),
            // An id of another kind: nothing is looked for by such a name.
            Err(wrong) if is_made || text.trim().is_empty() => return Err(wrong),
            Err(_) if is_one_word(text) && prefix_of(text).is_none() => {
                I::given(text).map(|_| None)?
            }
            Err(_) => None,
        };
        let given = text.to_owned();
        Ok(Self { given, id, is_made })
    }
}

/// Whether a text is an id, of whatever kind, and cannot be a name: names that begin with a word and an
/// underscore as ids do are not given here.
fn is_made(text: &str) -> bool {
    let Some(prefix) = prefix_of(text).filter(|_| is_one_word(text)) else {
        return false;
    };
    let rest = text.strip_prefix(prefix).unwrap_or_default();
    let is_plain = || rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    prefix.ends_with('_') || (rest.len() >= MADE && is_plain())
}

pub(super) fn is_one_word(text: &str) -> bool {
    text.len() <= MAX_ID_BYTES && !text.contains(char::is_whitespace)
}

impl<I> From<I> for Reference<I>
where
    I: Identifier,
{
    fn from(id: I) -> Self {
        Self {
            given: id.as_ref().to_owned(),
            id: Some(id),
            is_made: true,
        }
    }
}

impl<I> fmt::Display for Reference<I> {
    /// As it was given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.given))
    }
}

impl<I: Identifier> Reference<I> {
    /// The id of what is meant.
    pub(super) async fn resolve(&self, on: &impl Directory<I>) -> CommandResult<I> {
        match self.certain() {
            Some(id) => Ok(id.clone()),
            None => self.among(&on.entries().await?),
        }
    }

    /// The id, if nothing can have this name.
    fn certain(&self) -> Option<&I> {
        self.id.as_ref().filter(|_| self.is_made)
    }

    /// The id of what is meant, if these are all that there are.
    pub(super) fn among(&self, listing: &Listing<I>) -> CommandResult<I> {
        if let Some(id) = self.certain() {
            return Ok(id.clone());
        }
        let entries = match (listing, &self.id) {
            (Listing::All(entries), _) => entries,
            (_, Some(id)) => return Ok(id.clone()),
            (Listing::None, None) => return I::given(&self.given).map_err(Failure::usage),
            (Listing::Forbidden, None) => {
                return Err(Failure::usage(format_args!(
                    "this key may not list {}s, so `{self}` cannot be looked up by its name; give its id",
                    I::KIND
                )));
            }
        };
        if let Some(same) = entries.iter().find(|each| each.id.as_ref() == self.given) {
            return Ok(same.id.clone());
        }
        let named = |each: &&Entry<I>| each.name.as_deref() == Some(self.given.as_str());
        let all: Vec<_> = entries.iter().filter(named).collect();
        let in_use: Vec<_> = all.iter().copied().filter(|each| !each.retired).collect();
        match if in_use.is_empty() { &all } else { &in_use }.as_slice() {
            [one] => Ok(one.id.clone()),
            [] => self.unknown(entries),
            several => Err(self.ambiguous(several)),
        }
    }

    fn ambiguous(&self, several: &[&Entry<I>]) -> Failure {
        let ids = several.iter().map(|each| each.id.as_ref());
        Failure::usage(format_args!("several {}s are called `{self}`", I::KIND))
            .hint(format!("give the id of one: {}", some(ids)))
    }

    fn unknown(&self, entries: &[Entry<I>]) -> CommandResult<I> {
        // It may be one that is not listed.
        if let Some(id) = &self.id {
            return Ok(id.clone());
        }
        // A server whose ids have another form may know one that it does not list.
        let foreign = |each: &Entry<I>| each.id.as_ref().parse::<I>().is_err();
        if entries.iter().any(foreign)
            && let Ok(id) = I::given(&self.given)
        {
            return Ok(id);
        }
        let failure = Failure::new(format_args!(
            "there is no {} with the id or name `{self}`",
            I::KIND
        ));
        let mut names: Vec<&str> = Vec::new();
        for name in entries.iter().filter_map(|each| each.name.as_deref()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let nearest = likely(&self.given, names.iter().copied());
        Err(match nearest {
            Some(name) => failure.hint(format!("did you mean `{}`?", printable(name))),
            None if names.is_empty() && entries.is_empty() => {
                failure.hint(format!("there are no {}s yet", I::KIND))
            }
            None if names.len() <= MOST_NAMED && !names.is_empty() => {
                let named = names.iter().map(|name| printable(name));
                failure.hint(format!("there are: {}", some(named)))
            }
            None => failure.hint(format!("`{}` shows those that there are", I::COMMAND)),
        })
    }
}

/// The ids of what is meant, in this order. What there is is listed once.
pub(super) async fn resolve_all<I: Identifier>(
    references: &[Reference<I>],
    on: &impl Directory<I>,
) -> CommandResult<Vec<I>> {
    let entries = if references.iter().all(|each| each.certain().is_some()) {
        Listing::None
    } else {
        on.entries().await?
    };
    let mut ids = Vec::with_capacity(references.len());
    for reference in references {
        ids.push(reference.among(&entries)?);
    }
    Ok(ids)
}

/// The first of some texts, each as a literal.
fn some<T: AsRef<str>>(texts: impl ExactSizeIterator<Item = T>) -> String {
    let more = texts.len().saturating_sub(MOST_NAMED);
    let shown: Vec<_> = texts
        .take(MOST_NAMED)
        .map(|text| format!("`{}`", text.as_ref()))
        .collect();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, name: &str) -> Entry<CertificateId> {
        Entry::new(CertificateId::opaque(id), Some(name.to_owned()))
    }

    fn found(given: &str, listing: &Listing<CertificateId>) -> Result<String, String> {
        let reference: Reference<CertificateId> = given.parse().map_err(|e| format!("{e}"))?;
        let id = reference.among(listing);
        id.map(|id| id.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_is_as_good_as_an_id_if_it_is_the_only_one() {
        let listing = Listing::All(vec![
            entry("cert_1", "mesh-2027"),
            entry("cert_2", "twice"),
            entry("cert_3", "twice"),
            entry("cert_4", "two words"),
        ]);
        let found = |given| found(given, &listing);
        assert_eq!(found("mesh-2027").unwrap(), "cert_1");
        assert_eq!(found("cert_unlisted").unwrap(), "cert_unlisted");
        assert_eq!(found("two words").unwrap(), "cert_4");
        let twice = found("twice").unwrap_err();
        assert!(twice.contains("`cert_2`, `cert_3`"), "{twice}");
        let typo = found("mesh-2072").unwrap_err();
        assert!(typo.contains("did you mean `mesh-2027`?"), "{typo}");
        let other = found("zzz").unwrap_err();
        assert!(
            other.ends_with("there are: `mesh-2027`, `twice`, `two words`"),
            "{other}"
        );
        for wrong in ["", " ", "proj_a", "cert_", ".."] {
            assert!(found(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_may_begin_with_a_word_and_a_hyphen() {
        let listing = Listing::All(vec![
            entry("cert_1", "org-mesh"),
            entry("cert_2", "user-ca"),
        ]);
        assert_eq!(found("org-mesh", &listing).unwrap(), "cert_1");
        assert_eq!(found("user-ca", &listing).unwrap(), "cert_2");
        let unknown = found("org-other", &listing).unwrap_err();
        assert!(
            unknown.contains("there is no certificate with the id or name"),
            "{unknown}"
        );
        let other = found("org-0123456789abcdef0123456789", &listing).unwrap_err();
        assert!(other.contains("is not a certificate id"), "{other}");
        let own = |given: &str| {
            let id = OrganizationId::opaque("org-0123456789abcdef0123456789");
            let listing = Listing::All(vec![Entry::new(id, Some("org-acme".to_owned()))]);
            let reference: Reference<OrganizationId> = given.parse().unwrap();
            reference.among(&listing).unwrap().to_string()
        };
        assert_eq!(own("org-acme"), "org-0123456789abcdef0123456789");
        assert_eq!(own("org-other"), "org-other");
    }

    #[test]
    fn what_is_in_use_is_meant_before_what_is_not() {
        let retired = || Entry {
            retired: true,
            ..entry("cert_1", "blue")
        };
        let both = Listing::All(vec![retired(), entry("cert_2", "blue")]);
        assert_eq!(found("blue", &both).unwrap(), "cert_2");
        let alone = Listing::All(vec![retired()]);
        assert_eq!(found("blue", &alone).unwrap(), "cert_1");
    }

    #[test]
    fn another_server_is_sent_its_own_ids() {
        assert_eq!(found("4711", &Listing::None).unwrap(), "4711");
        let entries = Listing::All(vec![entry("4711", "blue"), entry("4712", "red")]);
        assert_eq!(found("4712", &entries).unwrap(), "4712");
        assert_eq!(found("blue", &entries).unwrap(), "4711");
        assert_eq!(found("4713", &entries).unwrap(), "4713");
    }

    #[test]
    fn a_key_that_may_not_list_needs_ids() {
        let error = found("mesh-2027", &Listing::Forbidden).unwrap_err();
        assert_eq!(
            error,
            "error: this key may not list certificates, so `mesh-2027` cannot be looked up by its name; give its id"
        );
        assert_eq!(found("cert_1", &Listing::Forbidden).unwrap(), "cert_1");
    }
}
