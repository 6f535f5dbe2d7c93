//! `portico service`.

use super::access::Access;
use super::args::ServiceListArgs;
use super::table;
use super::{CliError, Console, Exit};
use crate::admin::{AdminAnswer, AdminRequest};

pub(super) async fn list(
    args: &ServiceListArgs,
    access: &Access,
    console: &mut Console<'_>,
) -> Result<Exit, CliError> {
    let mut answer = access.call(AdminRequest::ListServices).await?;
    let AdminAnswer::Services(services) = &mut answer else {
        return Err(CliError::unexpected(&answer));
    };
    if let Some(customer) = &args.customer {
        services.retain(|service| service.customer == customer.as_str());
    }
    let headings = ["VM", "HOSTNAME", "CUSTOMER", "PRODUCT", "ADDRESS", "STATE", "ID"];
    table::list(console, args.json, services, headings, |service| {
        [
            format!("{}/{}", service.cluster, service.vmid),
            service.hostname.clone(),
            service.customer.clone(),
            service.product.clone(),
            service.addresses.first().cloned().unwrap_or_default(),
            if service.suspended { "suspended" } else { "active" }.to_owned(),
            service.id.clone(),
        ]
    })
}
