//! Chains that verified under no anchor: anyone with a key can present as many as they like. Each
//! counts against the scope that it was presented at first, and a scope keeps only the newest of
//! them. Those that come back after they were forgotten are new again.

use countersign_types::{
    digest::ChainDigest,
    id::{OrganizationId, ProjectId},
};

use super::{Store, StoreError, connection::Connection, value::params};

/// How many such chains a scope keeps, and how many bytes of their certificates: of older ones the
/// digest and the summary are left.
const CHAINS_OF_A_SCOPE: u64 = 2000;
const BYTES_OF_A_SCOPE: u64 = 4 * 1024 * 1024;
/// How many chains an organization keeps in all, whatever they verified under.
const CHAINS_OF_AN_ORGANIZATION: u64 = 100_000;

/// A scope at which chains were presented: an organization, and the project that was called as.
pub(super) type ChainScope<'a> = (&'a OrganizationId, Option<&'a ProjectId>);

impl Store {
    /// Forgets the oldest chains of scopes that just got new ones, as far as they have too many.
    /// This is a transaction of its own: it takes rows in another order than a batch does.
    pub(super) async fn trim_chains(
        &self,
        places: impl IntoIterator<Item = ChainScope<'_>>,
    ) -> Result<(), StoreError> {
        let mut trimmed = None;
        for (organization, project) in places {
            let mut connection = self.inner.database.transaction().await?;
            if trimmed != Some(organization) {
                trim_organization(&mut connection, organization).await?;
                trimmed = Some(organization);
            }
            let project = project.map_or("", ProjectId::as_str);
            trim_scope(&mut connection, organization, project).await?;
            connection.commit("COMMIT", || ()).await?;
        }
        Ok(())
    }
}

async fn trim_organization(
    connection: &mut Connection,
    organization: &OrganizationId,
) -> Result<(), StoreError> {
    let sql = "SELECT seq FROM observed_chains WHERE organization_id = $1 \
        ORDER BY seq DESC LIMIT 1 OFFSET $2";
    let oldest: Option<u64> = connection
        .find(sql, params![organization, CHAINS_OF_AN_ORGANIZATION])
        .await?;
    let Some(oldest) = oldest else {
        return Ok(());
    };
    let sql = "SELECT sha256, seq FROM observed_chains WHERE organization_id = $1 AND seq <= $2";
    let values = params![organization, oldest];
    let chains = connection.query(sql, values).await?;
    forget(connection, organization, chains).await
}

async fn trim_scope(
    connection: &mut Connection,
    organization: &OrganizationId,
    project: &str,
) -> Result<(), StoreError> {
    let sql = "SELECT seq, presented_bytes FROM observed_chains \
        WHERE organization_id = $1 AND unverified_at = $2 ORDER BY seq DESC LIMIT $3";
    let newest: Vec<(u64, u64)> = connection
        .query(sql, params![organization, project, CHAINS_OF_A_SCOPE])
        .await?;
    let mut bytes = 0;
    let kept = newest.iter().take_while(|(_, more)| {
        bytes += more;
        bytes <= BYTES_OF_A_SCOPE
    });
    let kept = kept.count();
    if let Some((first, _)) = newest.get(kept) {
        let sql = "UPDATE observed_chains SET presented = NULL, presented_bytes = 0 \
            WHERE organization_id = $1 AND unverified_at = $2 AND seq <= $3 \
            AND presented_bytes > 0";
        connection
            .execute(sql, params![organization, project, first])
            .await?;
    }
    let Some((oldest, _)) = newest.last() else {
        return Ok(());
    };
    let sql = "SELECT sha256, seq FROM observed_chains \
        WHERE organization_id = $1 AND unverified_at = $2 AND seq < $3";
    let chains = connection
        .query(sql, params![organization, project, oldest])
        .await?;
    forget(connection, organization, chains).await
}

/// Forgets chains and what was counted of them, in the order in which a batch takes chains.
async fn forget(
    connection: &mut Connection,
    organization: &OrganizationId,
    mut chains: Vec<(ChainDigest, u64)>,
) -> Result<(), StoreError> {
    chains.sort_unstable();
    for (_, seq) in &chains {
        let leaf: Option<u64> = connection
            .find(
                "DELETE FROM observed_chains WHERE seq = $1 RETURNING leaf",
                params![seq],
            )
            .await?;
        let leaf = leaf.filter(|leaf| *leaf > 0);
        if let Some(leaf) = leaf {
            let sql = "DELETE FROM observed_certificates WHERE seq = $1 \
                AND NOT EXISTS (SELECT 1 FROM observed_chains WHERE leaf = $1)";
            connection.execute(sql, params![leaf]).await?;
        }
    }
    for (_, seq) in &chains {
        for sql in [
            "DELETE FROM observations WHERE outcome IN \
             (SELECT seq FROM observed_outcomes WHERE organization_id = $1 AND chain = $2)",
            "DELETE FROM observed_outcomes WHERE organization_id = $1 AND chain = $2",
        ] {
            connection.execute(sql, params![organization, seq]).await?;
        }
    }
    Ok(())
}
