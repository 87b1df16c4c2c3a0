//! The deployment's revision: the number of its latest change.

use super::{StoreError, connection::Connection};

pub(super) async fn read(connection: &mut Connection) -> Result<u64, StoreError> {
    let sql = "SELECT revision FROM deployment WHERE id = 1";
    connection.number(sql, &[]).await
}
