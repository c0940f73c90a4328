//! What model registries have promoted, with its statements.

use async_trait::async_trait;
use sqlx::any::AnyRow;

use super::accessing::write_audit;
use super::sql::{Columns, SqlStore};
use super::{AuditRow, ReferenceRow, StoreError};
use crate::drift::time::Timestamp;

/// A version that a registry has put in the place of the configured one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromotionRow {
    /// The delivery that told of it.
    pub delivery_id: String,
    /// Name of the model.
    pub model: String,
    /// When the registry was told, by its own clock: of two the later counts, whichever came first.
    pub at: Timestamp,
    /// When the delivery came.
    pub taken: Timestamp,
    /// The registry's number of the version.
    pub registered_version: String,
    /// The version as records name it.
    pub version: String,
    /// The version that the configuration named then. One that names another since goes first.
    pub config_version: String,
    /// The version's manifest file.
    pub manifest: String,
    /// What it is compared with.
    pub reference_id: String,
}

/// What became of a promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promoted {
    /// It counts from now on.
    Made,
    /// It was told before.
    Repeated,
    /// The registry has said something newer already.
    Superseded,
}

/// What following a registry asks of a store.
#[async_trait]
pub trait PromotionStore: Send + Sync {
    /// Writes a promotion, makes its reference the model's active one and audits it, in one transaction; nothing
    /// is written if it was told before or is out of date.
    async fn promote(
        &self,
        promotion: &PromotionRow,
        reference: &ReferenceRow,
        audit: &AuditRow,
    ) -> Result<Promoted, StoreError>;
    /// A model's latest promotion.
    async fn promotion(&self, model: &str) -> Result<Option<PromotionRow>, StoreError>;
}

#[async_trait]
impl PromotionStore for SqlStore {
    async fn promote(
        &self,
        promotion: &PromotionRow,
        reference: &ReferenceRow,
        audit: &AuditRow,
    ) -> Result<Promoted, StoreError> {
        let mut transaction = self.begin().await?;
        let written = sqlx::query(
            "-- promote
            insert into promotion (delivery_id, model, at_us, taken_us, registered_version, version, config_version,
                manifest, reference_id)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (delivery_id) do nothing",
        )
        .bind(&promotion.delivery_id)
        .bind(&promotion.model)
        .bind(promotion.at.micros())
        .bind(promotion.taken.micros())
        .bind(&promotion.registered_version)
        .bind(&promotion.version)
        .bind(&promotion.config_version)
        .bind(&promotion.manifest)
        .bind(&promotion.reference_id)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        if written == 0 {
            return Ok(Promoted::Repeated);
        }
        let newer = sqlx::query("-- promote (newer)\nselect 1 from promotion where model = $1 and at_us > $2 limit 1")
            .bind(&promotion.model)
            .bind(promotion.at.micros())
            .fetch_optional(&mut *transaction)
            .await?;
        if newer.is_some() {
            return Ok(Promoted::Superseded);
        }
        super::references::keep(&mut *transaction, reference).await?;
        super::references::point(&mut *transaction, reference, promotion.taken).await?;
        write_audit(&mut transaction, audit).await?;
        transaction.commit().await?;
        Ok(Promoted::Made)
    }

    async fn promotion(&self, model: &str) -> Result<Option<PromotionRow>, StoreError> {
        let row = sqlx::query(
            "-- promotion
            select * from promotion where model = $1 order by at_us desc, taken_us desc, delivery_id desc limit 1",
        )
        .bind(model)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.as_ref().map(promotion_row).transpose()?)
    }
}

fn promotion_row(row: &AnyRow) -> Result<PromotionRow, sqlx::Error> {
    Ok(PromotionRow {
        delivery_id: row.text("delivery_id")?,
        model: row.text("model")?,
        at: row.time("at_us")?,
        taken: row.time("taken_us")?,
        registered_version: row.text("registered_version")?,
        version: row.text("version")?,
        config_version: row.text("config_version")?,
        manifest: row.text("manifest")?,
        reference_id: row.text("reference_id")?,
    })
}
