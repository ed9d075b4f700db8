use berth_metadata::{AuditFilter, AuditId, AuditRecord, Page};

use super::{Administration, AdministrationError};

impl Administration {
    /// Lines of the audit log before `before`, the newest first.
    pub(crate) async fn audit(
        &self,
        filter: &AuditFilter,
        before: Option<AuditId>,
        limit: u32,
    ) -> Result<Page<AuditRecord>, AdministrationError> {
        self.require_administrator("read the audit log")?;
        Ok(self.store.audit(filter, before, limit).await?)
    }
}
