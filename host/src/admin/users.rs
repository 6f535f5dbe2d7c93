//! Customers and services by command.

use std::collections::BTreeMap;

use super::protocol::{AddUser, AdminAnswer, AdminFailure, Password, ServiceView, UserView};
use super::service::{Admin, record_failure};
use crate::auth::AccountId;
use crate::domain::{Customer, CustomerId, Origin};
use crate::mail::EmailAddress;
use crate::provider::PasswordHasher;
use crate::secret::{Entropy, Secret};

impl Admin {
    pub(super) async fn add_user(&self, wanted: AddUser) -> Result<AdminAnswer, AdminFailure> {
        let _turn = self.turn.lock().await;
        let entropy = &*self.parts.passwords.entropy;
        let email: EmailAddress = checked(&wanted.email)?;
        let (made, hash) = self.password(wanted.password, &email).await?;
        let customer = Customer {
            id: wanted.id.unwrap_or_else(|| {
                let mut bytes = [0; 8];
                entropy.fill(&mut bytes);
                CustomerId::from_random(u64::from_be_bytes(bytes))
            }),
            name: wanted.name.unwrap_or_else(|| email.local().to_owned()),
            email,
            locale: wanted
                .locale
                .as_deref()
                .map(checked)
                .transpose()?
                .unwrap_or_default(),
            time_zone: wanted
                .time_zone
                .as_deref()
                .map(checked)
                .transpose()?
                .unwrap_or_default(),
            password_hash: Some(hash),
            disabled: false,
            origin: Origin::Panel,
        };
        if customer.name.is_empty()
            || customer.name.len() > 500
            || customer.name.chars().any(char::is_control)
        {
            return Err(AdminFailure::refused(
                "the name must have 1 to 500 characters, without line ends and tabs",
                "",
            ));
        }
        self.parts
            .records
            .create_customer(&customer)
            .await
            .map_err(|error| record_failure(&error))?;
        self.log(
            "user.add",
            Some(customer.id.to_string()),
            "customer made".to_owned(),
        )
        .await;
        Ok(AdminAnswer::User {
            user: view(&customer, 0),
            password: made,
        })
    }

    pub(super) async fn reset_user(
        &self,
        user: &str,
        password: Option<Password>,
    ) -> Result<AdminAnswer, AdminFailure> {
        let _turn = self.turn.lock().await;
        let customer = self.find_user(user).await?;
        let (made, hash) = self.password(password, &customer.email).await?;
        let change = |customer: &mut Customer| customer.password_hash = Some(hash.clone());
        let customer = self.parts.records.change_customer(&customer.id, change).await;
        let customer = customer.map_err(|error| record_failure(&error))?;
        // After the new password is in place: a sign-in with the old one in between ends here too.
        let account: AccountId = checked(customer.id.as_str())?;
        let ended = self.parts.sessions.revoke_all(&account, None).await;
        ended.map_err(|error| AdminFailure::failed(&error))?;
        let services = self.parts.records.services_of(&customer.id).await;
        let services = services.map_err(|error| record_failure(&error))?.len();
        self.log(
            "user.reset",
            Some(customer.id.to_string()),
            "new password, sessions ended".to_owned(),
        )
        .await;
        Ok(AdminAnswer::User {
            user: view(&customer, services),
            password: made,
        })
    }

    /// Hashes the password that was given, or makes one, which is then returned.
    async fn password(
        &self,
        given: Option<Password>,
        email: &EmailAddress,
    ) -> Result<(Option<Password>, crate::auth::PasswordHash), AdminFailure> {
        let passwords = &self.parts.passwords;
        let made = given.is_none().then(|| generate(&*passwords.entropy));
        let text = given.as_ref().or(made.as_ref());
        let secret = Secret::new(text.map_or("", Password::expose));
        let hash = passwords.hash(&secret, email).await;
        let hash = hash.map_err(|message| {
            AdminFailure::refused(message, "give another one, or none to have one made")
        })?;
        Ok((made, hash))
    }

    async fn find_user(&self, user: &str) -> Result<Customer, AdminFailure> {
        let records = &self.parts.records;
        let found = if user.contains('@') {
            records.customer_by_email(&checked(user)?).await
        } else {
            records.customer(&checked(user)?).await
        };
        Ok(found.map_err(|error| record_failure(&error))?.value)
    }

    pub(super) async fn users(&self) -> Result<AdminAnswer, AdminFailure> {
        let failed = |error| record_failure(&error);
        let mut counts: BTreeMap<CustomerId, usize> = BTreeMap::new();
        for service in self.parts.records.services().await.map_err(failed)? {
            *counts.entry(service.value.customer).or_default() += 1;
        }
        let customers = self.parts.records.customers().await.map_err(failed)?;
        let users = customers
            .iter()
            .map(|record| view(&record.value, counts.get(&record.value.id).copied().unwrap_or(0)));
        Ok(AdminAnswer::Users(users.collect()))
    }

    pub(super) async fn services(&self) -> Result<AdminAnswer, AdminFailure> {
        let services = self
            .parts
            .records
            .services()
            .await
            .map_err(|error| record_failure(&error))?;
        let mut views: Vec<_> = services
            .into_iter()
            .map(|record| {
                let service = record.value;
                ServiceView {
                    id: service.id.to_string(),
                    customer: service.customer.to_string(),
                    product: service.product.to_string(),
                    cluster: service.cluster.to_string(),
                    vmid: service.vmid.get(),
                    addresses: service
                        .addresses
                        .hosts()
                        .map(|address| address.to_string())
                        .collect(),
                    hostname: service.hostname,
                    suspended: service.suspended,
                }
            })
            .collect();
        views.sort_by(|left, right| (&left.cluster, left.vmid).cmp(&(&right.cluster, right.vmid)));
        Ok(AdminAnswer::Services(views))
    }
}

/// Reads a value of a checked type.
fn checked<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, AdminFailure> {
    text.parse()
        .map_err(|error: T::Err| AdminFailure::refused(error.to_string(), ""))
}

fn view(customer: &Customer, services: usize) -> UserView {
    UserView {
        id: customer.id.clone(),
        email: customer.email.to_string(),
        name: customer.name.clone(),
        services,
        password: customer.password_hash.is_some(),
        disabled: customer.disabled,
        origin: customer.origin,
    }
}

/// Letters and digits that are not taken for one another, nor moved by another keyboard layout.
const ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwx23456789";

/// Makes a password of 20 signs, some 97 bits, in four groups.
fn generate(entropy: &dyn Entropy) -> Password {
    // Of the full size from the start: growing would leave pieces behind.
    let mut text = String::with_capacity(23);
    let mut signs = 0;
    while signs < 20 {
        let mut byte = [0];
        entropy.fill(&mut byte);
        // Bytes beyond the last whole multiple would make the first signs likelier.
        let usable = 256 / ALPHABET.len() * ALPHABET.len();
        let index = usize::from(byte[0]);
        if let Some(&sign) = ALPHABET.get(index % ALPHABET.len()).filter(|_| index < usable) {
            if signs > 0 && signs % 5 == 0 {
                text.push('-');
            }
            text.push(char::from(sign));
            signs += 1;
        }
    }
    Password::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::check_password;
    use crate::secret::SystemEntropy;

    #[test]
    fn a_made_password_keeps_the_rules_and_is_never_the_same() {
        let first = generate(&SystemEntropy);
        let second = generate(&SystemEntropy);
        assert_ne!(first, second);
        assert_eq!(first.expose().len(), 23);
        assert!(!first.expose().contains(['l', 'i', 'o', '0', '1', 'y', 'z']));
        check_password(&Secret::new(first.expose()), None).unwrap();
    }
}
