//! The list of the customer's services, as a page and as its live fragment.

use serde::Serialize;

use super::Template;
use super::page::{Flash, Page, Tone};
use super::service::{SAMPLE_ID, Status};
use super::urls::Url;

/// One service in the list.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceRow {
    /// The service's name.
    pub name: String,
    /// Its overview.
    pub href: Url,
    /// The machine's state, as last known.
    pub status: Status,
    /// The first few addresses.
    pub addresses: Vec<String>,
    /// How many more there are.
    pub more_addresses: usize,
    /// The product's name.
    pub product: String,
}

/// Context of `services.html`.
#[derive(Debug, Serialize)]
pub struct ServicesPage {
    /// The layout's part.
    pub page: Page,
    /// The customer's services, in the order to show.
    pub services: Vec<ServiceRow>,
}

/// Context of `services_list.html`.
#[derive(Debug, Serialize)]
pub struct ServicesFragment {
    /// As in [`ServicesPage`].
    pub services: Vec<ServiceRow>,
}

fn sample_rows() -> Vec<ServiceRow> {
    let row = |name: &str, status: Status, addresses: &[&str], product: &str| ServiceRow {
        name: name.to_owned(),
        href: Url::service(&SAMPLE_ID),
        status,
        addresses: addresses.iter().map(|&address| address.to_owned()).collect(),
        more_addresses: usize::from(addresses.len() > 1) * 3,
        product: product.to_owned(),
    };
    let unknown = Status::new("Unknown", Tone::Warning).with_note("last seen running 4 minutes ago");
    vec![
        row(
            "web-1.example.net",
            Status::new("Running", Tone::Success),
            &["203.0.113.10"],
            "Pro 4",
        ),
        row(
            "db-1.example.net",
            Status::new("Stopped", Tone::Muted),
            &["203.0.113.11", "2001:db8:11::1"],
            "Pro 8",
        ),
        row(
            "build.example.net",
            Status::new("Paused", Tone::Info),
            &["203.0.113.12"],
            "Basic",
        ),
        row("<b>old & \"quoted\"</b>", unknown, &[], "Basic"),
    ]
}

impl Template for ServicesPage {
    const NAME: &'static str = "services.html";

    fn time_zone(&self) -> Option<&str> {
        Some(&self.page.time_zone)
    }

    fn samples() -> Vec<(&'static str, Self)> {
        let mut told = Page::sample();
        told.flash = vec![
            Flash {
                tone: Tone::Success,
                text: "You are signed in.".to_owned(),
            },
            Flash {
                tone: Tone::Danger,
                text: "Another message, <em>escaped</em>.".to_owned(),
            },
        ];
        vec![
            (
                "several",
                Self {
                    page: Page::sample(),
                    services: sample_rows(),
                },
            ),
            (
                "empty",
                Self {
                    page: told,
                    services: Vec::new(),
                },
            ),
        ]
    }
}

impl Template for ServicesFragment {
    const NAME: &'static str = "services_list.html";

    fn samples() -> Vec<(&'static str, Self)> {
        vec![
            (
                "several",
                Self {
                    services: sample_rows(),
                },
            ),
            ("empty", Self { services: Vec::new() }),
        ]
    }
}
