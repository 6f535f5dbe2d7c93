//! Customers, and the index of their e-mail addresses.

use super::{RecordError, Records};
use crate::domain::{Customer, CustomerId};
use crate::mail::EmailAddress;
use crate::store::{Batch, Key, StoreError, StoreExt, Stored, Table, Versioned};

impl Stored for Customer {
    const TABLE: Table = Table::Accounts;
    const KIND: &'static str = "customer";
    const SCHEMA: u16 = 1;
}

/// Addresses that differ only in case are one address to people.
fn email_key(email: &EmailAddress) -> Key {
    Key::text(&email.folded())
}

impl Records {
    /// A customer.
    pub async fn customer(&self, id: &CustomerId) -> Result<Versioned<Customer>, RecordError> {
        self.load(id.as_str()).await
    }

    /// The customer who signs in with `email`.
    pub async fn customer_by_email(&self, email: &EmailAddress) -> Result<Versioned<Customer>, RecordError> {
        let not_found = || RecordError::not_found(Customer::KIND, email);
        let index = self.store.get(Table::AccountLogins, &email_key(email)).await?;
        let id = index
            .and_then(|record| String::from_utf8(record.value.to_vec()).ok())
            .ok_or_else(not_found)?;
        self.load(&id).await
    }

    /// All customers, by id.
    pub async fn customers(&self) -> Result<Vec<Versioned<Customer>>, RecordError> {
        self.all().await
    }

    /// Makes a customer.
    ///
    /// # Errors
    /// [`RecordError::Taken`] when the id or the e-mail address is another's.
    pub async fn create_customer(&self, customer: &Customer) -> Result<(), RecordError> {
        let (id, email) = (Key::text(customer.id.as_str()), email_key(&customer.email));
        let mut batch = Batch::new();
        Self::index_customer(&mut batch, customer)?;
        batch
            .require_absent(Table::Accounts, &id)
            .require_absent(Table::AccountLogins, &email);
        Self::touch_guard(&mut batch);
        match self.store.apply(batch).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict {
                table: Table::AccountLogins,
                ..
            }) => Err(RecordError::Taken {
                what: format!("e-mail address `{}`", customer.email),
                kind: Customer::KIND,
                owner: self
                    .customer_by_email(&customer.email)
                    .await?
                    .value
                    .id
                    .to_string(),
            }),
            Err(StoreError::Conflict {
                table: Table::Accounts,
                ..
            }) => Err(RecordError::Taken {
                what: format!("id `{}`", customer.id),
                kind: Customer::KIND,
                owner: customer.id.to_string(),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes what belongs to the customer himself: password, locale, time zone, name, whether he is disabled.
    ///
    /// `change` runs again on the newer record when somebody else writes at the same time. It must not change
    /// id or e-mail address, which are indexed; such a change is dropped.
    pub async fn change_customer(
        &self,
        id: &CustomerId,
        change: impl Fn(&mut Customer) + Send + Sync,
    ) -> Result<Customer, RecordError> {
        let key = Key::text(id.as_str());
        let change = |customer: &mut Customer| {
            let (id, email) = (customer.id.clone(), customer.email.clone());
            change(customer);
            (customer.id, customer.email) = (id, email);
        };
        let changed = self
            .store
            .change(&key, change)
            .await?
            .ok_or_else(|| RecordError::not_found(Customer::KIND, id))?;
        Ok(changed.value)
    }

    /// Stages a customer and his index entry. Whether the address is free is the caller's to know.
    pub fn index_customer(batch: &mut Batch, customer: &Customer) -> Result<(), StoreError> {
        batch.save(Key::text(customer.id.as_str()), customer)?;
        batch.put(
            Table::AccountLogins,
            email_key(&customer.email),
            customer.id.as_str().as_bytes().to_vec(),
        );
        Ok(())
    }

    /// Stages the removal of a customer and his index entry. Staged before anything is indexed, so that an
    /// address can pass from one record to another in one batch.
    pub fn unindex_customer(batch: &mut Batch, customer: &Customer) {
        batch
            .delete(Table::Accounts, Key::text(customer.id.as_str()))
            .delete(Table::AccountLogins, email_key(&customer.email));
    }
}
