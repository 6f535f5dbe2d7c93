use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::domain::{
    ActivityEntry, Actor, Addresses, Customer, CustomerId, Locale, Origin, Outcome, PluginApproval,
    PluginFacts, Service, ServiceId, Settings, TimeZoneName,
};
use crate::store::MemoryStore;

fn records() -> Records {
    Records::new(Arc::new(MemoryStore::new()))
}

fn customer(id: &str) -> Customer {
    Customer {
        id: id.parse().unwrap(),
        email: format!("{id}@example.com").parse().unwrap(),
        name: id.into(),
        locale: Locale::default(),
        time_zone: TimeZoneName::default(),
        password_hash: None,
        disabled: false,
        origin: Origin::Panel,
    }
}

fn service(number: u8, owner: &str, vmid: u32) -> Service {
    Service {
        id: ServiceId::from_random([number; 16]),
        customer: owner.parse().unwrap(),
        product: "pro".parse().unwrap(),
        cluster: "main".parse().unwrap(),
        vmid: vmid.try_into().unwrap(),
        hostname: "vm.example.com".into(),
        addresses: Addresses::default(),
        mac: None,
        suspended: false,
        origin: Origin::Panel,
    }
}

fn hash(text: &str) -> crate::auth::PasswordHash {
    serde_json::from_value(text.into()).unwrap()
}

fn id(text: &str) -> CustomerId {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_service_of_another_customer_is_not_found_in_the_words_of_one_that_does_not_exist() {
    let records = records();
    let anna = service(1, "anna", 101);
    records.create_service(&anna).await.unwrap();

    assert_eq!(records.service_of(&id("anna"), anna.id).await.unwrap(), anna);
    let others = records.service_of(&id("bert"), anna.id).await.unwrap_err();
    assert!(others.is_not_found());
    let missing = ServiceId::from_random([9; 16]);
    let nobodys = records.service_of(&id("bert"), missing).await.unwrap_err();
    let words = |error: RecordError, id: ServiceId| error.to_string().replace(&id.to_string(), "ID");
    assert_eq!(words(others, anna.id), words(nobodys, missing));
}

#[tokio::test]
async fn a_customer_lists_his_services_and_no_others() {
    let records = records();
    // `ann` is a prefix of `anna`: the index must not confuse them.
    for (number, owner) in [(1, "anna"), (2, "ann"), (3, "anna")] {
        records
            .create_service(&service(number, owner, 100 + u32::from(number)))
            .await
            .unwrap();
    }
    let vmids = |services: Vec<Service>| {
        services
            .iter()
            .map(|service| service.vmid.get())
            .collect::<Vec<_>>()
    };
    assert_eq!(vmids(records.services_of(&id("anna")).await.unwrap()), [101, 103]);
    assert_eq!(vmids(records.services_of(&id("ann")).await.unwrap()), [102]);
    assert!(records.services_of(&id("bert")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_second_service_on_one_vm_is_refused_and_not_written() {
    let records = records();
    let first = service(1, "anna", 101);
    records.create_service(&first).await.unwrap();
    let second = service(2, "bert", 101);
    let error = records.create_service(&second).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "VM 101 of cluster `main` belongs to service `{}` already",
            first.id
        )
    );
    assert!(records.service(second.id).await.unwrap_err().is_not_found());
    assert!(records.services_of(&id("bert")).await.unwrap().is_empty());
}

#[tokio::test]
async fn two_customers_cannot_share_an_address_or_an_id() {
    let records = records();
    records.create_customer(&customer("anna")).await.unwrap();
    let mut other = customer("bert");
    other.email = customer("anna").email;
    let error = records.create_customer(&other).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "e-mail address `anna@example.com` belongs to customer `anna` already"
    );
    assert!(records.customer(&id("bert")).await.unwrap_err().is_not_found());

    let mut again = customer("anna");
    again.email = "new@example.com".parse().unwrap();
    let error = records.create_customer(&again).await.unwrap_err();
    assert_eq!(error.to_string(), "id `anna` belongs to customer `anna` already");
    assert!(
        records
            .customer_by_email(&again.email)
            .await
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test]
async fn a_change_of_a_customer_keeps_what_is_indexed() {
    let records = records();
    records.create_customer(&customer("anna")).await.unwrap();
    let change = |customer: &mut Customer| {
        customer.password_hash = Some(hash("hash"));
        customer.email = "other@example.com".parse().unwrap();
    };
    records.change_customer(&id("anna"), change).await.unwrap();
    let anna = records
        .customer_by_email(&customer("anna").email)
        .await
        .unwrap()
        .value;
    assert_eq!(anna.password_hash, Some(hash("hash")));
    assert_eq!(anna.email.as_str(), "anna@example.com");
    assert!(
        records
            .change_customer(&id("bert"), |_| ())
            .await
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test]
async fn a_plan_made_before_a_write_is_not_applied_after_it() {
    let records = records();
    for _ in 0..2 {
        let guard = records.guard().await.unwrap();
        let number = u8::from(guard.is_some()) + 1;
        records
            .create_service(&service(number, "anna", 100 + u32::from(number)))
            .await
            .unwrap();
        let mut batch = Batch::new();
        Records::require_guard(&mut batch, guard);
        assert!(records.store().apply(batch).await.unwrap_err().is_conflict());
    }
}

#[tokio::test]
async fn a_plugin_that_a_product_lists_cannot_be_removed() {
    let records = records();
    let plugin = PluginApproval {
        id: "snapshots".parse().unwrap(),
        digest: "d".into(),
        source: "/snapshots.wasm".into(),
        imports: std::collections::BTreeSet::new(),
        settings: Settings::default(),
        http_origins: Vec::new(),
        description: PluginFacts::default(),
        origin: Origin::Panel,
    };
    records.put_plugin(&plugin).await.unwrap();
    let product = serde_json::json!({
        "id": "pro", "title": "Pro", "permissions": ["snapshots:*"], "settings": {},
        "plan": {"cores": 1, "memory_mib": 512, "system_disk": {"size_gib": 10}, "network": {"firewall": true}},
    });
    let mut batch = Batch::new();
    Records::stage_product(&mut batch, &serde_json::from_value(product).unwrap()).unwrap();
    records.store().apply(batch).await.unwrap();
    let error = records.remove_plugin(&plugin.id).await.unwrap_err();
    assert_eq!(error.to_string(), "plugin `snapshots` is in use by product `pro`");

    records
        .store()
        .delete(Table::Products, &Key::text("pro"))
        .await
        .unwrap();
    records.remove_plugin(&plugin.id).await.unwrap();
    assert!(records.plugin(&plugin.id).await.unwrap_err().is_not_found());
}

fn entry(service: Option<ServiceId>, second: i64, text: &str) -> ActivityEntry {
    ActivityEntry {
        at: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second),
        service,
        actor: Actor::Customer(id("anna")),
        ip: None,
        action: "snapshots.create".parse().unwrap(),
        target: None,
        outcome: Outcome::Done,
        text: text.into(),
    }
}

fn texts(page: &ActivityPage) -> Vec<&str> {
    page.entries.iter().map(|entry| entry.text.as_str()).collect()
}

#[tokio::test]
async fn the_log_of_a_service_is_paged_from_the_newest() {
    let records = records();
    let anna = service(1, "anna", 101);
    let bert = service(2, "bert", 102);
    for service in [&anna, &bert] {
        records.create_service(service).await.unwrap();
    }
    for (second, text) in [(5, "b"), (1, "a"), (9, "d"), (5, "c")] {
        records.log(&entry(Some(anna.id), second, text)).await.unwrap();
    }
    records.log(&entry(Some(bert.id), 3, "not hers")).await.unwrap();
    records.log(&entry(None, 4, "signed in")).await.unwrap();

    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = records
            .activity_of(&id("anna"), anna.id, cursor.as_deref(), 3)
            .await
            .unwrap();
        seen.extend(texts(&page).into_iter().map(ToOwned::to_owned));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    // The two of one second come in either order.
    assert_eq!(seen.len(), 4);
    assert_eq!((seen[0].as_str(), seen[3].as_str()), ("d", "a"));

    assert_eq!(
        texts(&records.account_activity(&id("anna"), None, 9).await.unwrap()),
        ["signed in"]
    );
    let all = records.all_activity(None, 9).await.unwrap();
    assert_eq!((all.entries.len(), texts(&all)[0]), (6, "d"));
    let older = records
        .all_activity(records.all_activity(None, 4).await.unwrap().next.as_deref(), 9)
        .await
        .unwrap();
    assert_eq!(texts(&older), ["not hers", "a"]);
}

#[tokio::test]
async fn a_made_up_cursor_reads_nothing_of_others() {
    let records = records();
    let anna = service(1, "anna", 101);
    let bert = service(2, "bert", 102);
    for service in [&anna, &bert] {
        records.create_service(service).await.unwrap();
        records
            .log(&entry(Some(service.id), 1, &service.customer.to_string()))
            .await
            .unwrap();
    }
    let error = records
        .activity_of(&id("anna"), bert.id, None, 9)
        .await
        .unwrap_err();
    assert!(error.is_not_found());
    for cursor in ["", "zz", "ff", "00", &"ff".repeat(5000)] {
        let page = records
            .activity_of(&id("anna"), anna.id, Some(cursor), 9)
            .await
            .unwrap();
        assert!(texts(&page).iter().all(|text| *text == "anna"), "{cursor}");
    }
}

#[tokio::test]
async fn an_entry_written_again_after_a_crash_is_there_once_and_long_text_is_cut() {
    let records = records();
    let anna = service(1, "anna", 101);
    records.create_service(&anna).await.unwrap();
    let long = entry(Some(anna.id), 1, &"ä".repeat(3_000));
    records.log(&long).await.unwrap();
    records.log(&long).await.unwrap();
    let page = records.activity_of(&id("anna"), anna.id, None, 9).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    assert_eq!(page.entries[0].text.len(), ActivityEntry::MAX_TEXT);
    assert_eq!(records.all_activity(None, 9).await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn suspension_is_kept_and_moves_the_guard() {
    let records = records();
    let anna = service(1, "anna", 101);
    records.create_service(&anna).await.unwrap();
    let before = records.guard().await.unwrap();
    records.suspend(anna.id, true).await.unwrap();
    assert!(
        records
            .service_at(&anna.cluster, anna.vmid)
            .await
            .unwrap()
            .value
            .suspended
    );
    assert_ne!(records.guard().await.unwrap(), before);
}
