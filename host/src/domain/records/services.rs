//! Services, and their indexes by owner and by VM.

use super::{LIST_LIMIT, RecordError, Records};
use crate::domain::{ClusterId, CustomerId, Service, ServiceId, Vmid};
use crate::store::{Batch, Key, Scan, StoreError, StoreExt, Stored, Table, Versioned};

impl Stored for Service {
    const TABLE: Table = Table::Services;
    const KIND: &'static str = "service";
    const SCHEMA: u16 = 1;
}

/// The index of services that are gone.
const REMOVED: &str = "removed-service";

fn removed_key(id: ServiceId) -> Key {
    Key::text(REMOVED).bytes(id.as_bytes())
}

fn service_key(id: ServiceId) -> Key {
    Key::raw(*id.as_bytes())
}

fn owner_key(customer: &CustomerId, id: ServiceId) -> Key {
    Key::text(customer.as_str()).bytes(id.as_bytes())
}

fn machine_key(cluster: &ClusterId, vmid: Vmid) -> Key {
    Key::text(cluster.as_str()).number(u64::from(vmid.get()))
}

impl Records {
    /// The service `id` of `customer`. This is the way to a service for everything a customer asks for.
    ///
    /// # Errors
    /// [`RecordError::NotFound`] when there is none, and in the very same words when it is somebody else's:
    /// whether an id exists is nobody's business.
    pub async fn service_of(&self, customer: &CustomerId, id: ServiceId) -> Result<Service, RecordError> {
        let service = self.service(id).await?.value;
        if service.customer == *customer {
            Ok(service)
        } else {
            Err(RecordError::not_found(Service::KIND, &id))
        }
    }

    /// All services of `customer`, by id.
    pub async fn services_of(&self, customer: &CustomerId) -> Result<Vec<Service>, RecordError> {
        let mut services = Vec::new();
        let mut next = Some(Scan::prefix(Table::ServiceOwners, Key::text(customer.as_str())));
        while let Some(scan) = next {
            let page = self.store.scan(&scan).await?;
            for entry in &page.entries {
                let mut parts = entry.key.parts();
                let _customer = parts.bytes();
                let id = parts
                    .bytes()
                    .and_then(|bytes| uuid::Uuid::from_slice(&bytes).ok());
                let Some(id) = id.map(ServiceId::from) else {
                    continue;
                };
                match self.service_of(customer, id).await {
                    Ok(service) => services.push(service),
                    // Removed between the two reads.
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                }
            }
            next = scan.next(&page);
        }
        Ok(services)
    }

    /// A service, whoever owns it. For the panel's own work (jobs, the provider's commands), never for a
    /// customer's request.
    pub async fn service(&self, id: ServiceId) -> Result<Versioned<Service>, RecordError> {
        let found = self.store.load::<Service>(&service_key(id)).await?;
        found.ok_or_else(|| RecordError::not_found(Service::KIND, &id))
    }

    /// All services, by id. For the provider.
    pub async fn services(&self) -> Result<Vec<Versioned<Service>>, RecordError> {
        let entries = self
            .store
            .list_all::<Service>(Scan::table(Table::Services), LIST_LIMIT)
            .await?;
        Ok(entries.into_iter().map(|(_, record)| record).collect())
    }

    /// The service whose VM is `vmid` of `cluster`.
    pub async fn service_at(
        &self,
        cluster: &ClusterId,
        vmid: Vmid,
    ) -> Result<Versioned<Service>, RecordError> {
        let not_found = || RecordError::not_found(Service::KIND, &format!("{cluster}/{vmid}"));
        let index = self
            .store
            .get(Table::ServiceMachines, &machine_key(cluster, vmid))
            .await?;
        let id = index
            .and_then(|record| uuid::Uuid::from_slice(&record.value).ok())
            .ok_or_else(not_found)?;
        self.service(ServiceId::from(id)).await
    }

    /// Makes a service.
    ///
    /// # Errors
    /// [`RecordError::Taken`] when the VM is another service's.
    pub async fn create_service(&self, service: &Service) -> Result<(), RecordError> {
        let machine = machine_key(&service.cluster, service.vmid);
        let mut batch = Batch::new();
        batch
            .require_absent(Table::ServiceMachines, &machine)
            .require_absent(Table::Services, service_key(service.id));
        Self::index_service(&mut batch, service)?;
        Self::touch_guard(&mut batch);
        match self.store.apply(batch).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict {
                table: Table::ServiceMachines,
                ..
            }) => Err(RecordError::Taken {
                what: format!("VM {} of cluster `{}`", service.vmid, service.cluster),
                kind: Service::KIND,
                owner: self
                    .service_at(&service.cluster, service.vmid)
                    .await?
                    .value
                    .id
                    .to_string(),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Suspends a service or takes that back.
    pub async fn suspend(&self, id: ServiceId, suspended: bool) -> Result<(), RecordError> {
        let mut record = self.service(id).await?;
        record.value.suspended = suspended;
        let mut batch = Batch::new();
        batch.update(service_key(id), record.version, &record.value)?;
        Self::touch_guard(&mut batch);
        self.store.apply(batch).await?;
        Ok(())
    }

    /// Stages a service and its index entries. Whether the VM is free is the caller's to know.
    pub fn index_service(batch: &mut Batch, service: &Service) -> Result<(), StoreError> {
        batch.save(service_key(service.id), service)?;
        batch.put(
            Table::ServiceOwners,
            owner_key(&service.customer, service.id),
            Vec::new(),
        );
        batch.put(
            Table::ServiceMachines,
            machine_key(&service.cluster, service.vmid),
            service.id.as_bytes().to_vec(),
        );
        Ok(())
    }

    /// Stages a note that a service is gone for good, for the removal of what was kept about it.
    pub fn stage_removed_service(batch: &mut Batch, id: ServiceId) {
        batch.put(Table::Indexes, removed_key(id), Vec::new());
    }

    /// Services that are gone and about which something may be kept, at most a page.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn removed_services(&self) -> Result<Vec<ServiceId>, StoreError> {
        let page = self
            .store
            .scan(&Scan::prefix(Table::Indexes, Key::text(REMOVED)))
            .await?;
        let ids = page.entries.iter().filter_map(|entry| {
            let mut parts = entry.key.parts();
            parts.text()?;
            Some(ServiceId::from_random(parts.bytes()?.try_into().ok()?))
        });
        Ok(ids.collect())
    }

    /// Takes the note away: nothing is kept about the service any more.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn service_is_forgotten(&self, id: ServiceId) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.delete(Table::Indexes, removed_key(id));
        self.store.apply(batch).await.map(drop)
    }

    /// Stages the removal of a service and its index entries. Staged before anything is indexed, so that a VM
    /// can pass from one record to another in one batch.
    pub fn unindex_service(batch: &mut Batch, service: &Service) {
        batch
            .delete(Table::Services, service_key(service.id))
            .delete(Table::ServiceOwners, owner_key(&service.customer, service.id))
            .delete(
                Table::ServiceMachines,
                machine_key(&service.cluster, service.vmid),
            );
    }
}
