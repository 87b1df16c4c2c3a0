//! Gateways, as they report themselves.

use std::collections::{BTreeSet, HashMap};

use countersign_types::{
    UnixSeconds,
    bundle::{Gateway, GatewayState, Gateways},
    capability::{Capability, LackingGateway},
    history::HistoryPoint,
    id::{ApiKeyId, GatewayId, OrganizationId},
};

use super::{
    Kind, Reach, Store, StoreError,
    capabilities::{Capabilities, Needs, from_text, lacking, read_needs},
    connection::Connection,
    history,
    row::{FromRow, Row},
    value::params,
};

/// For how many seconds a gateway that vanished is listed as missing by default: a day.
pub const FORGET_GATEWAYS_AFTER: u64 = 24 * 60 * 60;

/// A gateway key, and a gateway that asked with it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayKeyUse {
    /// The key.
    pub key: ApiKeyId,
    /// The gateway's id.
    pub gateway: GatewayId,
    /// Its name.
    pub name: String,
    /// When it asked last, in Unix seconds.
    pub seen_at: UnixSeconds,
}

/// Which gateways are listed, and how.
#[derive(Debug, Clone, Copy)]
pub struct GatewayFilter {
    /// Who was seen last before this time is forgotten (Unix seconds).
    pub kept_since: UnixSeconds,
    /// Who was seen last before this time is missing.
    pub live_since: UnixSeconds,
}

/// How many gateways there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GatewayCounts {
    /// They enforce the latest change, durably.
    pub current: u64,
    /// They ask for bundles, and do not enforce the latest change yet, or not durably.
    pub behind: u64,
    /// They stopped asking without a clean shutdown.
    pub missing: u64,
}

impl Store {
    /// How many gateways there are of each kind: those seen in the last `kept_for` seconds, which are live
    /// if it was in the last `live_for`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn count_gateways(
        &self,
        kept_for: u64,
        live_for: u64,
    ) -> Result<GatewayCounts, StoreError> {
        let now = self.inner.sources.now();
        let filter = GatewayFilter {
            kept_since: now.saturating_sub(kept_for),
            live_since: now.saturating_sub(live_for),
        };
        let Gateways {
            revision, gateways, ..
        } = self.list_gateways(filter).await?;
        let mut counts = GatewayCounts::default();
        for gateway in gateways {
            let count = match gateway.state.known() {
                Some(GatewayState::Missing) => &mut counts.missing,
                _ if gateway.is_pending(revision) => &mut counts.behind,
                _ => &mut counts.current,
            };
            *count += 1;
        }
        Ok(counts)
    }

    /// The gateways that are known, and the deployment's revision. A gateway whose last report is
    /// not of this history is listed with revision 0: nobody knows what it enforces.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn list_gateways(&self, filter: GatewayFilter) -> Result<Gateways, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let revision = history::read(&mut connection).await?.revision;
        let mut listed = read_list(&mut connection, revision, filter).await?;
        note_lacking(&mut connection, &mut listed, None).await?;
        Ok(Gateways {
            revision,
            gateways: listed.into_iter().map(|listed| listed.gateway).collect(),
            lost: None,
        })
    }

    /// The same as a gateway key that is limited may see it: the gateways that use that key.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn list_gateways_with_key(
        &self,
        key: &ApiKeyId,
        filter: GatewayFilter,
    ) -> Result<Gateways, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let revision = history::read(&mut connection).await?.revision;
        let listed = read_list(&mut connection, revision, filter).await?;
        let own = listed
            .into_iter()
            .filter(|each| each.key.as_ref() == Some(key));
        let mut own: Vec<_> = own.collect();
        note_lacking(&mut connection, &mut own, None).await?;
        Ok(Gateways {
            revision,
            gateways: own.into_iter().map(|listed| listed.gateway).collect(),
            lost: None,
        })
    }

    /// The same as an organization may see it: its own latest revision, no gateway's above that, and
    /// no names unless it is the only organization of the deployment.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the organization.
    pub async fn list_gateways_of(
        &self,
        organization: &OrganizationId,
        filter: GatewayFilter,
    ) -> Result<Gateways, StoreError> {
        self.list_needing(organization, filter, None).await
    }

    /// The gateways of an organization that would not enforce it if it needed this of them.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for the organization.
    pub async fn gateways_lacking(
        &self,
        organization: &OrganizationId,
        needed: BTreeSet<Capability>,
        filter: GatewayFilter,
    ) -> Result<Vec<LackingGateway>, StoreError> {
        let listed = self.list_needing(organization, filter, Some(needed));
        let lacking = listed.await?.gateways.into_iter();
        let lacking = lacking.filter(|each| !each.lacks.is_empty());
        let lacking = lacking.map(|each| LackingGateway {
            id: each.id,
            name: each.name,
            lacks: each.lacks,
        });
        Ok(lacking.collect())
    }

    /// What an organization sees of gateways, as it is or if it needed this of them.
    async fn list_needing(
        &self,
        organization: &OrganizationId,
        filter: GatewayFilter,
        needed: Option<BTreeSet<Capability>>,
    ) -> Result<Gateways, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let found: Option<(u64, u64)> = connection
            .find(
                "SELECT o.revision, \
                 (SELECT count(*) FROM (SELECT id FROM organizations LIMIT 2) AS few) \
                 FROM organizations o WHERE o.id = $1",
                params![organization],
            )
            .await?;
        let (revision, organizations) = found
            .ok_or_else(|| StoreError::not_found(Kind::Organization, organization.as_str()))?;
        let latest = history::read(&mut connection).await?.revision;
        let listed = read_list(&mut connection, latest, filter).await?;
        // A gateway that has nothing of the organization enforces nothing for it.
        let concerned = listed
            .into_iter()
            .filter(|each| each.reach.includes(organization));
        let mut concerned: Vec<_> = concerned.collect();
        let needed = needed.map(|needed| Needs {
            organization: organization.clone(),
            needed,
        });
        match needed {
            Some(needs) => concerned.iter_mut().for_each(|each| each.lack(&needs)),
            None => note_lacking(&mut connection, &mut concerned, Some(organization)).await?,
        }
        let mut gateways: Vec<_> = concerned.into_iter().map(|each| each.gateway).collect();
        for gateway in &mut gateways {
            gateway.revision = gateway.revision.min(revision);
        }
        if organizations > 1 {
            for gateway in &mut gateways {
                gateway.name.clear();
            }
            // The order of the names would tell something of them.
            gateways.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
        }
        Ok(Gateways {
            revision,
            gateways,
            lost: None,
        })
    }

    /// Which gateways asked with which key last, as far as gateways are listed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn gateway_key_uses(&self) -> Result<Vec<GatewayKeyUse>, StoreError> {
        self.reader()
            .await?
            .query(
                "SELECT key_id, id, name, seen_at FROM gateways WHERE key_id IS NOT NULL \
                 ORDER BY name, id",
                &[],
            )
            .await
    }

    /// Whether a change is lost, as after a failover or a restored backup: its revision is another
    /// change's now, or none's yet. `None` when the history does not reach back to it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn has_lost(&self, change: HistoryPoint) -> Result<Option<bool>, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        history::lacks(&mut connection, change).await
    }

    /// Forgets a gateway: it has ended, and enforces nothing any more.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn forget_gateway(&self, id: &GatewayId) -> Result<(), StoreError> {
        self.forget_gateway_with_key(id, None).await
    }

    /// The same for one that uses a certain key, if one is given.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn forget_gateway_with_key(
        &self,
        id: &GatewayId,
        key: Option<&ApiKeyId>,
    ) -> Result<(), StoreError> {
        let mut connection = self.inner.database.transaction().await?;
        let sql = "DELETE FROM gateways WHERE id = $1 AND ($2 = '' OR key_id = $2)";
        let key = key.map_or("", ApiKeyId::as_str);
        let removed = connection.execute(sql, params![id, key]).await?;
        if removed == 0 {
            return Err(StoreError::not_found(Kind::Gateway, id.as_str()));
        }
        let sql = "DELETE FROM live_streams WHERE gateway_id = $1";
        connection.execute(sql, params![id]).await?;
        connection.commit("COMMIT", || ()).await
    }
}

/// Notes of gateways what they do not understand of what the organizations that they have need: of all of these,
/// or of one.
async fn note_lacking(
    connection: &mut Connection,
    listed: &mut [Listed],
    only: Option<&OrganizationId>,
) -> Result<(), StoreError> {
    let all = Capability::ALL.into_iter().collect();
    if listed.iter().all(|each| each.understands == all) {
        return Ok(());
    }
    let needs = read_needs(connection, only).await?;
    for each in listed {
        needs.iter().for_each(|needs| each.lack(needs));
    }
    Ok(())
}

/// A gateway that is listed, and the organizations that it has.
struct Listed {
    gateway: Gateway,
    understands: Capabilities,
    key: Option<ApiKeyId>,
    reach: Reach,
}

/// The organizations that limited keys reach, or reached until they were deleted, with their revisions.
type Limits = HashMap<ApiKeyId, Vec<(OrganizationId, u64)>>;

/// The gateways at a time when this is the deployment's latest revision.
async fn read_list(
    connection: &mut Connection,
    latest: u64,
    filter: GatewayFilter,
) -> Result<Vec<Listed>, StoreError> {
    let mut listed: Vec<Listed> = connection
        .query(
            "SELECT g.id, g.name, coalesce(h.revision, 0), g.durable, g.seen_at, g.understands, g.key_id, \
             coalesce(k.limited, (SELECT max(1) FROM former_key_organizations f \
             WHERE f.key_id = g.key_id), 0) FROM gateways g \
             LEFT JOIN history h ON h.revision = g.revision AND h.token = g.token \
             LEFT JOIN api_keys k ON k.id = g.key_id \
             WHERE g.seen_at >= $1 ORDER BY g.name, g.id",
            params![filter.kept_since],
        )
        .await?;
    let is_limited = |each: &Listed| each.reach != Reach::All;
    let mut limits = Limits::new();
    if listed.iter().any(is_limited) {
        let sql = "SELECT l.key_id, o.id, o.revision FROM (\
                   SELECT key_id, organization_id FROM gateway_key_organizations UNION ALL \
                   SELECT key_id, organization_id FROM former_key_organizations) AS l \
                   JOIN organizations o ON o.id = l.organization_id";
        let all: Vec<(ApiKeyId, OrganizationId, u64)> = connection.query(sql, &[]).await?;
        for (key, organization, revision) in all {
            let own = limits.entry(key).or_default();
            own.push((organization, revision));
        }
    }
    for each in &mut listed {
        if is_limited(each) {
            each.limit(&limits, latest);
        }
        if each.gateway.seen_at < filter.live_since {
            each.gateway.state = GatewayState::Missing.into();
        }
    }
    Ok(listed)
}

impl Listed {
    /// Notes what it does not understand of what an organization needs, if it has that one.
    fn lack(&mut self, needs: &Needs) {
        if !self.reach.includes(&needs.organization) {
            return;
        }
        for each in lacking(&needs.needed, &self.understands) {
            if !self.gateway.lacks.contains(&each) {
                self.gateway.lacks.push(each);
            }
        }
    }

    /// Notes the organizations of its key. Of what changed elsewhere it is not told at once, and has it all
    /// the same.
    fn limit(&mut self, limits: &Limits, latest: u64) {
        let own = self.key.as_ref().and_then(|key| limits.get(key));
        let own = own.map(Vec::as_slice).unwrap_or_default();
        let newest = own.iter().map(|(_, revision)| *revision).max();
        self.reach = Reach::Only(own.iter().map(|(id, _)| id.clone()).collect());
        let gateway = &mut self.gateway;
        if gateway.revision > 0 && newest.is_none_or(|newest| gateway.revision >= newest) {
            gateway.revision = latest;
        }
    }
}

impl FromRow for GatewayKeyUse {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            key: row.next()?,
            gateway: row.next()?,
            name: row.next()?,
            seen_at: row.next()?,
        })
    }
}

impl FromRow for Listed {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            gateway: row.several()?,
            understands: from_text(&row.next::<String>()?),
            key: row.next()?,
            reach: match row.next::<u64>()? {
                0 => Reach::All,
                _ => Reach::Only([].into()),
            },
        })
    }
}

impl FromRow for Gateway {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.next()?,
            name: row.next()?,
            revision: row.next()?,
            state: GatewayState::Live.into(),
            durable: row.next::<u64>()? != 0,
            seen_at: row.next()?,
            lacks: Vec::new(),
        })
    }
}
