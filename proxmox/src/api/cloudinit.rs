//! The cloud-init data of a VM: a small image that a start makes anew, and the texts in it.

use http::Method;

use crate::client::Vm;
use crate::error::Error;
use crate::lenient::Scalar;
use crate::route::Params;
use crate::secret::Secret;
use crate::transport::Class;

/// Which of the texts for cloud-init.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloudinitData {
    /// User, password, keys, name.
    User,
    /// Addresses and name servers.
    Network,
    /// The instance's id, which changes with the others.
    Meta,
}

impl Vm {
    /// `PUT cloudinit`: makes the image with the cloud-init data anew. A start does so too.
    pub async fn regenerate_cloudinit(&self) -> Result<(), Error> {
        self.change(Method::PUT, |vm| vm.word("/cloudinit"), Params::new())
            .await
    }

    /// `GET cloudinit/dump`: a text as cloud-init gets it. The user's has the hash of the password in it: not for
    /// customers, and not for logs.
    pub async fn cloudinit_dump(&self, data: CloudinitData) -> Result<Secret, Error> {
        let kind = match data {
            CloudinitData::User => "user",
            CloudinitData::Network => "network",
            CloudinitData::Meta => "meta",
        };
        let text: Scalar = self
            .call(
                Class::Read,
                Method::GET,
                |vm| vm.word("/cloudinit/dump"),
                Params::new().set("type", kind),
            )
            .await?;
        Ok(Secret::new(text.to_text().unwrap_or_default()))
    }
}
