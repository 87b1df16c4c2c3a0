//! What gateways are sent: the organizations that changed, each of them whole
//! (docs/specification.md, section 4).

use std::{collections::HashMap, hash::Hash};

use countersign_types::{
    bundle::{
        BundleAudit, BundleCertificate, BundleDenial, BundleKey, BundleProject, KeysSum,
        OrganizationBundle,
    },
    certificate::Enforcement,
    digest::Sha256,
    history::RevisionToken,
    id::{ApiKeyId, CertificateId, OrganizationId, ReceiptKeyId},
    known_sets::KnownSets,
    token::{BundleFederation, BundleFederationRule, BundleTokenKey},
};

use super::{
    Kind, Reach, StoreError, WriteTx,
    audit_chain::Head,
    bundle_keys::{KeysRead, key_changes},
    connection::Connection,
    denial_rows,
    revoked_sets::{self, CertificateList},
    row::{FromRow, Row},
    value::{Value, params},
};

/// How many organizations are read at a time.
const AT_A_TIME: i64 = 256;
/// How many bytes a key has in JSON, about.
const KEY_BYTES: usize = 200;
/// The columns of an organization, before what belongs to it is read.
pub(super) const HEAD: &str = "id, revision, audit_number, audit_sha256, audit_token, keys_sum";

impl WriteTx {
    /// The organization as this write has left it so far, with its keys, to be judged by.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn bundle(&mut self) -> Result<OrganizationBundle, StoreError> {
        let reading = (0, KeysRead::All);
        let mut found = read_one(&mut self.connection, &self.organization, reading).await?;
        let mut organization = found
            .pop()
            .ok_or_else(|| StoreError::not_found(Kind::Organization, self.organization.as_str()))?;
        let known = &self.store.inner.sets;
        revoked_sets::attach(&mut self.connection, known, &mut organization).await?;
        Ok(organization)
    }
}

/// The organizations of a revision or a later one that a key reaches.
pub(super) async fn read_all(
    mut connection: Connection,
    reach: &Reach,
    (from, keys): (u64, KeysRead),
) -> Result<Vec<OrganizationBundle>, StoreError> {
    if let Reach::Only(ids) = reach {
        return read_some(&mut connection, ids, (from, keys)).await;
    }
    let mut changed = Changed {
        connection,
        from,
        keys,
    };
    let mut organizations = Vec::new();
    loop {
        let some = changed.next().await?;
        if some.is_empty() {
            return Ok(organizations);
        }
        organizations.extend(some);
    }
}

/// Those of these that are of a revision or a later one.
pub(super) async fn read_some(
    connection: &mut Connection,
    ids: &[OrganizationId],
    reading: (u64, KeysRead),
) -> Result<Vec<OrganizationBundle>, StoreError> {
    let mut organizations = Vec::new();
    for id in ids {
        let mut found = read_one(connection, id, reading).await?;
        add_digests(&mut found)?;
        organizations.extend(found);
        tokio::task::yield_now().await;
    }
    Ok(organizations)
}

/// The organizations from a revision on, in the order of their revisions, some at a time.
pub(super) struct Changed {
    pub(super) connection: Connection,
    pub(super) from: u64,
    pub(super) keys: KeysRead,
}

impl Changed {
    /// The next of them; empty at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<OrganizationBundle>, StoreError> {
        let mut some: Vec<OrganizationBundle> = self
            .connection
            .query(
                &format!(
                    "SELECT {HEAD} FROM organizations WHERE revision >= $1 \
                     ORDER BY revision LIMIT $2"
                ),
                params![self.from, AT_A_TIME],
            )
            .await?;
        let order = Order::Revisions;
        fill(&mut self.connection, &mut some, order, self.keys).await?;
        add_digests(&mut some)?;
        if let Some(last) = some.last() {
            self.from = last.revision + 1;
        }
        // Reading many organizations takes long, and SQLite is read inline: let others run.
        tokio::task::yield_now().await;
        Ok(some)
    }
}

/// The organization of an id, if it is of a revision or a later one.
async fn read_one(
    connection: &mut Connection,
    id: &OrganizationId,
    (from, keys): (u64, KeysRead),
) -> Result<Vec<OrganizationBundle>, StoreError> {
    let mut found = connection
        .query(
            &format!("SELECT {HEAD} FROM organizations WHERE id = $1 AND revision >= $2"),
            params![id, from],
        )
        .await?;
    fill(connection, &mut found, Order::Ids, keys).await?;
    Ok(found)
}

/// The anchors and projects of an organization, without its keys: what trust is compiled from.
pub(super) async fn read_trust(
    connection: &mut Connection,
    known: &KnownSets,
    id: &OrganizationId,
) -> Result<OrganizationBundle, StoreError> {
    let found: Option<OrganizationBundle> = connection
        .find(
            &format!("SELECT {HEAD} FROM organizations WHERE id = $1"),
            params![id],
        )
        .await?;
    let mut trust = found.ok_or_else(|| StoreError::not_found(Kind::Organization, id.as_str()))?;
    let mut parts = Parts {
        connection: &mut *connection,
        order: Order::Ids,
        range: [id.as_str().into(), id.as_str().into()],
    };
    let mut certificates = parts.certificates().await?;
    let mut active = parts.active().await?;
    let mut projects = parts.projects().await?;
    let mut denials = parts.denials().await?;
    let mut crls = parts.crls().await?;
    trust.certificates = certificates.remove(id.as_str()).unwrap_or_default();
    trust.projects = projects.remove(id.as_str()).unwrap_or_default();
    trust.denials = denials.remove(id.as_str()).unwrap_or_default();
    let mut at = |scope: &str| active.remove(&(id.to_string(), scope.to_owned()));
    (trust.active, trust.with_reported) = split(at(""));
    for project in &mut trust.projects {
        (project.active, project.with_reported) = split(at(project.id.as_str()));
    }
    let crls = crls.remove(id.as_str()).unwrap_or_default();
    revoked_sets::distribute(&mut trust, crls);
    revoked_sets::attach(connection, known, &mut trust).await?;
    Ok(trust)
}

/// Adds the digest of each organization as it will be written without it and its keys, whose sum is in it. Returns
/// how many bytes they have, about.
pub(super) fn add_digests(organizations: &mut [OrganizationBundle]) -> Result<usize, StoreError> {
    let mut bytes = 0;
    for organization in organizations {
        organization.digest = None;
        let keys = std::mem::take(&mut organization.keys);
        let changes = organization.key_changes.take();
        let text = serde_json::to_vec(organization)
            .map_err(|error| StoreError::Internal(error.to_string()))?;
        bytes += text.len() + keys.len() * KEY_BYTES;
        organization.digest = Some(Sha256::of(text));
        (organization.keys, organization.key_changes) = (keys, changes);
    }
    Ok(bytes)
}

/// An organization, before what belongs to it is read.
impl FromRow for OrganizationBundle {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        let (id, revision) = (row.next()?, row.next()?);
        let Head { number, sha256 } = row.several()?;
        let token: Option<RevisionToken> = row.next()?;
        let keys_sum = row.next()?;
        Ok(Self {
            id,
            revision,
            audit: token.map(|token| BundleAudit {
                number,
                sha256,
                token,
            }),
            keys_sum,
            key_changes: None,
            receipt_keys: Vec::new(),
            digest: None,
            certificates: Vec::new(),
            active: Vec::new(),
            with_reported: Vec::new(),
            projects: Vec::new(),
            keys: Vec::new(),
            federation: None,
            denials: Vec::new(),
        })
    }
}

/// The order in which organizations stand, without a gap.
#[derive(Clone, Copy)]
pub(super) enum Order {
    Revisions,
    Ids,
}

impl Order {
    /// The condition on organizations from one to another.
    const fn range(self) -> &'static str {
        match self {
            Self::Revisions => "o.revision >= $1 AND o.revision <= $2",
            Self::Ids => "o.id >= $1 AND o.id <= $2",
        }
    }

    fn place(self, organization: &OrganizationBundle) -> Value<'_> {
        match self {
            Self::Revisions => organization.revision.into(),
            Self::Ids => organization.id.as_str().into(),
        }
    }
}

/// Reads what belongs to organizations that stand in an order.
pub(super) async fn fill(
    connection: &mut Connection,
    organizations: &mut [OrganizationBundle],
    order: Order,
    which: KeysRead,
) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (organizations.first(), organizations.last()) else {
        return Ok(());
    };
    let mut parts = Parts {
        connection,
        order,
        range: [order.place(first), order.place(last)],
    };
    let mut certificates = parts.certificates().await?;
    let mut active = parts.active().await?;
    let mut projects = parts.projects().await?;
    let (mut keys, mut changes) = match which {
        KeysRead::All => (parts.keys().await?, None),
        KeysRead::ChangedAfter(revision) => {
            (HashMap::new(), Some(parts.changed_keys(revision).await?))
        }
    };
    let mut token_keys = parts.token_keys().await?;
    let mut rules = parts.federation_rules().await?;
    let mut receipt_keys = parts.receipt_keys().await?;
    let mut denials = parts.denials().await?;
    let mut crls = parts.crls().await?;
    for organization in organizations {
        let id = organization.id.as_str();
        organization.certificates = certificates.remove(id).unwrap_or_default();
        organization.projects = projects.remove(id).unwrap_or_default();
        organization.keys = keys.remove(id).unwrap_or_default();
        organization.key_changes = changes
            .as_mut()
            .map(|all| key_changes(all.remove(id).unwrap_or_default()));
        if which == KeysRead::All {
            // Of the keys as they are, whatever the sum that is kept: a comparison finds what differs.
            organization.keys_sum = Some(KeysSum::of(&organization.keys).into());
        }
        organization.receipt_keys = receipt_keys.remove(id).unwrap_or_default();
        organization.denials = denials.remove(id).unwrap_or_default();
        // Without keys it never had a rule.
        organization.federation = token_keys.remove(id).map(|keys| BundleFederation {
            keys,
            rules: rules.remove(id).unwrap_or_default(),
        });
        let lists = crls.remove(id).unwrap_or_default();
        let mut at = |scope: &str| active.remove(&(id.to_owned(), scope.to_owned()));
        (organization.active, organization.with_reported) = split(at(""));
        for project in &mut organization.projects {
            (project.active, project.with_reported) = split(at(project.id.as_str()));
        }
        revoked_sets::distribute(organization, lists);
    }
    Ok(())
}

/// What is enforced at a scope, and everything active there where some of it is only reported.
fn split(active: Option<Vec<Active>>) -> (Vec<CertificateId>, Vec<CertificateId>) {
    let active = active.unwrap_or_default();
    let enforced: Vec<_> = active
        .iter()
        .filter(|(_, enforcement)| *enforcement == Enforcement::Enforce)
        .map(|(id, _)| id.clone())
        .collect();
    if enforced.len() == active.len() {
        return (enforced, Vec::new());
    }
    (enforced, active.into_iter().map(|(id, _)| id).collect())
}

fn group<K: Eq + Hash, V>(rows: Vec<(K, V)>) -> HashMap<K, Vec<V>> {
    let mut out: HashMap<K, Vec<V>> = HashMap::new();
    for (key, value) in rows {
        out.entry(key).or_default().push(value);
    }
    out
}

/// What belongs to the organizations of a range, by organization.
struct Parts<'a> {
    connection: &'a mut Connection,
    order: Order,
    range: [Value<'a>; 2],
}

type ByOrganization<T> = HashMap<String, Vec<T>>;
type Active = (CertificateId, Enforcement);

impl Parts<'_> {
    /// Rows whose first column is the organization.
    async fn read<K: FromRow + Eq + Hash, T: FromRow>(
        &mut self,
        sql: &str,
    ) -> Result<HashMap<K, Vec<T>>, StoreError> {
        let sql = sql.replace("{range}", self.order.range());
        let rows = self.connection.query(&sql, &self.range).await?;
        Ok(group(rows))
    }

    async fn certificates(&mut self) -> Result<ByOrganization<BundleCertificate>, StoreError> {
        self.read(
            "SELECT c.organization_id, c.id, c.pem, c.cel_policy, c.reported_policy, c.crl_missing, c.floor, c.floor_set_by, \
             c.floor_set_at, c.reported_floor, c.reported_floor_set_by, c.reported_floor_set_at \
             FROM organizations o JOIN certificates c ON c.organization_id = o.id \
             WHERE {range} \
             AND EXISTS (SELECT 1 FROM activations a WHERE a.certificate_id = c.id) \
             ORDER BY c.created_at, c.seq",
        )
        .await
    }

    /// What is active, by organization and project; the empty project is the organization.
    async fn active(&mut self) -> Result<HashMap<(String, String), Vec<Active>>, StoreError> {
        self.read(
            "SELECT a.organization_id, a.project_id, a.certificate_id, a.enforcement \
             FROM organizations o JOIN activations a ON a.organization_id = o.id \
             WHERE {range} ORDER BY a.activated_at, a.seq",
        )
        .await
    }

    async fn projects(&mut self) -> Result<ByOrganization<BundleProject>, StoreError> {
        self.read(
            "SELECT p.organization_id, p.id, p.archived_at \
             FROM organizations o JOIN projects p ON p.organization_id = o.id \
             WHERE {range} ORDER BY p.created_at, p.seq",
        )
        .await
    }

    async fn denials(&mut self) -> Result<ByOrganization<BundleDenial>, StoreError> {
        self.read(&format!(
            "SELECT d.organization_id, {} \
             FROM organizations o JOIN denials d ON d.organization_id = o.id \
             WHERE {{range}} AND o.denials > 0 ORDER BY d.created_at, d.seq",
            denial_rows::BUNDLE_COLUMNS
        ))
        .await
    }

    async fn crls(&mut self) -> Result<ByOrganization<CertificateList>, StoreError> {
        self.read(&format!(
            "SELECT l.organization_id, {} \
             FROM organizations o JOIN crls l ON l.organization_id = o.id \
             WHERE {{range}} AND o.crls > 0 ORDER BY l.created_at, l.seq",
            revoked_sets::BUNDLE_COLUMNS
        ))
        .await
    }

    async fn keys(&mut self) -> Result<ByOrganization<BundleKey>, StoreError> {
        self.read(
            "SELECT k.organization_id, k.id, k.kind, k.digest, k.project_id, k.expires_at \
             FROM organizations o JOIN api_keys k ON k.organization_id = o.id \
             WHERE {range} ORDER BY k.created_at, k.seq",
        )
        .await
    }
}

impl Parts<'_> {
    /// The keys that changed after a revision, with what they are if they are there still.
    async fn changed_keys(
        &mut self,
        revision: u64,
    ) -> Result<ByOrganization<(ApiKeyId, Option<BundleKey>)>, StoreError> {
        self.read(&format!(
            "SELECT c.organization_id, c.key_id, k.id, k.kind, k.digest, k.project_id, k.expires_at \
             FROM organizations o JOIN key_changes c ON c.organization_id = o.id \
             LEFT JOIN api_keys k ON k.id = c.key_id \
             WHERE {{range}} AND c.revision > {revision} ORDER BY k.created_at, k.seq, c.key_id"
        ))
        .await
    }

    /// The public keys of tokens.
    async fn token_keys(&mut self) -> Result<ByOrganization<BundleTokenKey>, StoreError> {
        self.read(
            "SELECT k.organization_id, k.id, k.public_key, k.expires_at \
             FROM organizations o JOIN token_keys k ON k.organization_id = o.id \
             WHERE {range} ORDER BY k.created_at, k.seq",
        )
        .await
    }

    /// The keys of gateways for receipts.
    async fn receipt_keys(&mut self) -> Result<ByOrganization<ReceiptKeyId>, StoreError> {
        self.read(
            "SELECT r.organization_id, r.id \
             FROM organizations o JOIN receipt_keys r ON r.organization_id = o.id \
             WHERE {range} AND r.withdrawn_at IS NULL ORDER BY r.created_at, r.id",
        )
        .await
    }

    /// The rules that admit workloads.
    async fn federation_rules(
        &mut self,
    ) -> Result<ByOrganization<BundleFederationRule>, StoreError> {
        self.read(
            "SELECT r.organization_id, r.id, r.provider_id, r.project_id, r.service_account_id, \
             p.transformations, p.conditions, r.matchers, r.permissions \
             FROM organizations o JOIN federation_rules r ON r.organization_id = o.id \
             JOIN workload_identity_providers p ON p.id = r.provider_id \
             WHERE {range} AND r.enabled = 1 AND p.enabled = 1 ORDER BY r.created_at, r.seq",
        )
        .await
    }
}
