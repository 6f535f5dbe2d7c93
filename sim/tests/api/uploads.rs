//! Proves how volumes come into a storage by themselves: allocated, downloaded, uploaded.

use pve_sim::{Action, Effect, Fault};
use reqwest::Method;
use serde_json::{Value, json};

use crate::lab::{Answer, Lab, PANEL};

const DOWNLOAD: &str = "/nodes/pve1/storage/local/download-url";
const URL: &str = "https://example.org/images/alpine.iso";
/// SHA-256 of the 12 bytes that are uploaded here.
const DIGEST: &str = "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447";

async fn lab() -> Lab {
    let mut lab = Lab::new().await;
    lab.root().await;
    lab
}

async fn volume(lab: &Lab, volid: &str) -> Option<Value> {
    let storage = volid.split(':').next().unwrap_or_default();
    let all = lab.list(&format!("/nodes/pve1/storage/{storage}/content")).await;
    all.into_iter().find(|volume| volume["volid"] == volid)
}

/// Posts a form with fields, and a file as the field of a name.
async fn upload(
    lab: &Lab,
    storage: &str,
    fields: &[(&str, &str)],
    field: &str,
    name: &str,
    content: &[u8],
) -> Answer {
    let mut body = Vec::new();
    for (key, value) in fields {
        let part = format!("--edge\r\nContent-Disposition: form-data; name=\"{key}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let head = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n--edge--\r\n");
    let request = lab
        .request(Method::POST, &format!("/nodes/pve1/storage/{storage}/upload"))
        .header("content-type", "multipart/form-data; boundary=edge")
        .body(body);
    lab.send(request).await
}

#[tokio::test]
async fn an_image_is_allocated_at_once_under_the_name_that_was_given() {
    let lab = lab().await;
    let path = "/nodes/pve1/storage/local/content";
    let form = [
        ("vmid", "102"),
        ("filename", "vm-102-disk-9.qcow2"),
        ("size", "2G"),
    ];
    let made = lab.post(path, &form).await.data();
    assert_eq!(made, "local:102/vm-102-disk-9.qcow2");
    let listed = volume(&lab, "local:102/vm-102-disk-9.qcow2")
        .await
        .unwrap_or_default();
    assert_eq!(
        (&listed["format"], &listed["size"]),
        (&json!("qcow2"), &json!(2_u64 << 30))
    );
    let again = lab.post(path, &form).await;
    assert_eq!(
        (again.status, again.reason.as_str()),
        (
            500,
            "disk image '/var/lib/vz/images/102/vm-102-disk-9.qcow2' already exists"
        )
    );
    let thin = [("vmid", "102"), ("filename", "vm-102-extra"), ("size", "512M")];
    let made = lab
        .post("/nodes/pve1/storage/local-lvm/content", &thin)
        .await
        .data();
    assert_eq!(made, "local-lvm:vm-102-extra");
    let count = |volid: &str| lab.control().effect_count(Effect::VolumeAdded, 102, Some(volid));
    assert_eq!(count("local-lvm:vm-102-extra"), 1);
}

#[tokio::test]
async fn an_image_with_a_wrong_name_size_or_format_is_refused() {
    let lab = lab().await;
    let try_one = async |storage: &str, name: &str, more: &[(&str, &str)]| {
        let mut form = vec![("vmid", "102"), ("filename", name)];
        form.extend_from_slice(more);
        let answer = lab
            .post(&format!("/nodes/pve1/storage/{storage}/content"), &form)
            .await;
        (
            answer.status,
            answer.reason.clone(),
            answer.json["errors"].clone(),
        )
    };
    let size = ("size", "1G");
    let (_, reason, _) = try_one("local-lvm", "vm-103-disk-0", &[size]).await;
    assert_eq!(reason, "illegal name 'vm-103-disk-0' - should be 'vm-102-*'");
    let (_, reason, _) = try_one("local-lvm", "vm-102-disk-5.qcow2", &[size]).await;
    assert_eq!(reason, "unsupported format 'qcow2'");
    let (_, reason, _) = try_one("local", "disk", &[size]).await;
    assert_eq!(reason, "unable to parse volume filename 'disk'");
    let (status, _, errors) = try_one("local", "a.raw", &[size, ("format", "qcow2")]).await;
    assert_eq!(
        (status, &errors["format"]),
        (400, &json!("different storage formats (qcow2 != raw)"))
    );
    let (_, _, errors) = try_one("local", "a.raw", &[("size", "1T")]).await;
    assert_eq!(errors["size"], "value does not match the regex pattern");
    let (_, _, errors) = try_one("local", "a.raw", &[("format", "raw")]).await;
    let both = r"property is missing and it is not optional\nmissing property required by 'format'";
    assert_eq!(
        errors["size"], both,
        "joined by a backslash and an n, as PVE does"
    );
    lab.control().inject(Fault::StorageFull {
        storage: "local".into(),
    });
    let (status, reason, _) = try_one("local", "a.raw", &[size]).await;
    assert_eq!(status, 500);
    assert!(reason.ends_with("No space left on device"), "{reason}");
}

#[tokio::test]
async fn a_download_ends_as_a_file_of_the_same_size_each_time() {
    let lab = lab().await;
    let form = [("content", "iso"), ("filename", "my file.iso"), ("url", URL)];
    let upid = lab.post(DOWNLOAD, &form).await.data();
    assert!(
        upid.as_str()
            .unwrap_or_default()
            .contains(":download:my_file.iso:root@pam:"),
        "{upid}"
    );
    assert_eq!(lab.exit_of(&upid).await, "OK");
    let file = volume(&lab, "local:iso/my_file.iso").await.unwrap_or_default();
    assert_eq!(
        (&file["content"], &file["format"]),
        (&json!("iso"), &json!("iso"))
    );
    let log = lab.log_of(&upid).await;
    assert_eq!(
        log[0],
        format!("downloading {URL} to /var/lib/vz/template/iso/my_file.iso")
    );
    assert_eq!(
        lab.control()
            .effect_count(Effect::VolumeAdded, 0, Some("local:iso/my_file.iso")),
        1
    );
    assert_eq!(
        lab.run(DOWNLOAD, &form).await,
        "refusing to override existing file '/var/lib/vz/template/iso/my_file.iso'"
    );
    let other = [("content", "import"), ("filename", "other.qcow2"), ("url", URL)];
    assert_eq!(lab.run(DOWNLOAD, &other).await, "OK");
    let other = volume(&lab, "local:import/other.qcow2").await.unwrap_or_default();
    assert_eq!(
        (&other["format"], &other["size"]),
        (&json!("qcow2"), &file["size"])
    );
}

#[tokio::test]
async fn a_download_needs_a_fitting_name_content_and_checksum() {
    let lab = lab().await;
    let base = [("content", "iso"), ("filename", "a.iso"), ("url", URL)];
    let with = |name: &'static str, value: &'static str| {
        let mut form = base.to_vec();
        form.retain(|(key, _)| *key != name);
        form.push((name, value));
        form
    };
    let wrong = lab.post(DOWNLOAD, &with("filename", "a.qcow2")).await;
    assert_eq!(wrong.error("filename"), "wrong file extension");
    let import = lab.post(DOWNLOAD, &with("content", "import")).await;
    assert_eq!(import.error("filename"), "invalid filename or wrong extension");
    assert_eq!(lab.post(DOWNLOAD, &with("url", "ftp://x/a")).await.status, 400);
    let alone = lab.post(DOWNLOAD, &with("checksum", "00")).await;
    assert_eq!(
        alone.error("checksum-algorithm"),
        "missing property required by 'checksum'"
    );
    let blocks = lab
        .post("/nodes/pve1/storage/local-lvm/download-url", &base)
        .await;
    assert_eq!(
        blocks.reason,
        "can't upload to storage type 'lvmthin', not a file based storage!"
    );
    let unset = lab
        .post("/nodes/pve1/storage/nas/download-url", &with("content", "import"))
        .await;
    assert_eq!(
        unset.reason,
        "storage 'nas' is not configured for content-type 'import'"
    );
    let mut short = with("checksum", "00");
    short.push(("checksum-algorithm", "sha256"));
    let status = lab.run(DOWNLOAD, &short).await;
    assert!(
        status.starts_with("checksum mismatch: got '") && status.ends_with("' != expect '00'"),
        "{status}"
    );
    let packed = [
        ("content", "vztmpl"),
        ("filename", "a.tar.zst"),
        ("url", URL),
        ("compression", "zst"),
    ];
    assert_eq!(
        lab.run(DOWNLOAD, &packed).await,
        "decompression not supported for vztmpl"
    );
}

#[tokio::test]
async fn a_download_on_a_full_storage_fails_as_wget_does() {
    let lab = lab().await;
    lab.control().inject(Fault::StorageFull {
        storage: "local".into(),
    });
    let form = [("content", "iso"), ("filename", "a.iso"), ("url", URL)];
    assert_eq!(lab.run(DOWNLOAD, &form).await, "download failed: exit code 3");
    assert_eq!(volume(&lab, "local:iso/a.iso").await, None);
}

#[tokio::test]
async fn downloads_need_rights_on_the_storage_and_on_the_nodes_network() {
    let mut lab = lab().await;
    let form = [("content", "iso"), ("filename", "a.iso"), ("url", URL)];
    lab.post(
        "/access/users",
        &[("userid", "new@pve"), ("password", "long-enough")],
    )
    .await
    .data();
    let grant = async |lab: &mut Lab, path: &str, role: &str| {
        lab.root().await;
        lab.put(
            "/access/acl",
            &[("path", path), ("roles", role), ("users", "new@pve")],
        )
        .await
        .data();
        lab.log_in("new@pve", "long-enough").await;
    };
    lab.log_in("new@pve", "long-enough").await;
    assert_eq!(
        lab.post(DOWNLOAD, &form).await.reason,
        "Permission check failed (/storage/local, Datastore.AllocateTemplate)"
    );
    grant(&mut lab, "/storage/local", "PVEDatastoreAdmin").await;
    let network = lab.post(DOWNLOAD, &form).await;
    assert_eq!(
        (network.status, network.reason.as_str()),
        (403, "Permission check failed")
    );
    lab.root().await;
    let role = [("roleid", "Fetch"), ("privs", "Sys.AccessNetwork")];
    lab.post("/access/roles", &role).await.data();
    grant(&mut lab, "/nodes/pve1", "Fetch").await;
    assert_eq!(lab.run(DOWNLOAD, &form).await, "OK");
}

#[tokio::test]
async fn an_upload_is_counted_and_put_in_place_of_what_was_there() {
    let mut lab = lab().await;
    for size in [3 << 20, 12] {
        let content = vec![b'x'; size];
        let upid = upload(
            &lab,
            "local",
            &[("content", "iso")],
            "filename",
            "own disk.iso",
            &content,
        )
        .await
        .data();
        assert!(
            upid.as_str().unwrap_or_default().contains(":imgcopy::root@pam:"),
            "{upid}"
        );
        assert_eq!(lab.exit_of(&upid).await, "OK");
        let file = volume(&lab, "local:iso/own_disk.iso").await.unwrap_or_default();
        assert_eq!(file["size"], size);
        let log = lab.log_of(&upid).await;
        assert!(log.contains(&format!("file size is: {size}")), "{log:?}");
    }
    lab.use_token(PANEL);
    let refused = upload(&lab, "local", &[("content", "iso")], "filename", "a.iso", b"x").await;
    assert_eq!(
        (refused.status, refused.reason.as_str()),
        (
            403,
            "Permission check failed (/storage/local, Datastore.AllocateTemplate)"
        )
    );
}

#[tokio::test]
async fn an_upload_for_another_node_goes_there_if_that_node_can_be_reached() {
    let lab = lab().await;
    let to = async |node: &str| {
        let body = "--edge\r\nContent-Disposition: form-data; name=\"content\"\r\n\r\niso\r\n--edge\r\n\
                    Content-Disposition: form-data; name=\"filename\"; filename=\"there.iso\"\r\n\r\nx\r\n--edge--\r\n";
        let request = lab.request(Method::POST, &format!("/nodes/{node}/storage/local/upload"));
        let kind = "multipart/form-data; boundary=edge";
        lab.send(request.header("content-type", kind).body(body)).await
    };
    let upid = to("pve2").await.data();
    assert!(
        upid.as_str().unwrap_or_default().starts_with("UPID:pve1:"),
        "the node that was asked works"
    );
    assert_eq!(lab.exit_of(&upid).await, "OK");
    assert_eq!(volume(&lab, "local:iso/there.iso").await, None);
    let there = lab.list("/nodes/pve2/storage/local/content?content=iso").await;
    assert!(
        there.iter().any(|file| file["volid"] == "local:iso/there.iso"),
        "{there:?}"
    );
    lab.act(Action::SetNodeOnline {
        node: "pve2".into(),
        online: false,
        stale: false,
    });
    let away = to("pve2").await;
    assert!(
        away.reason
            .starts_with("can't activate storage 'local' on node 'pve2'"),
        "{}",
        away.reason
    );
    assert!(
        to("pve9")
            .await
            .reason
            .starts_with("hostname lookup 'pve9' failed")
    );
}

#[tokio::test]
async fn the_checksum_of_an_upload_is_really_calculated() {
    let lab = lab().await;
    let content = b"hello world\n";
    let wrong = DIGEST.replace('a', "b");
    for (checksum, wanted) in [
        (DIGEST.to_uppercase(), "OK".to_owned()),
        (
            wrong.clone(),
            format!("checksum mismatch: got '{DIGEST}' != expect '{wrong}'"),
        ),
    ] {
        let fields = [
            ("content", "iso"),
            ("checksum-algorithm", "sha256"),
            ("checksum", &*checksum),
        ];
        let upid = upload(&lab, "local", &fields, "filename", "a.iso", content)
            .await
            .data();
        assert_eq!(lab.exit_of(&upid).await, wanted);
    }
}

#[tokio::test]
async fn what_is_no_upload_is_refused() {
    let lab = lab().await;
    let path = "/nodes/pve1/storage/local/upload";
    let form = lab.post(path, &[("content", "iso"), ("filename", "a.iso")]).await;
    assert_eq!(form.status, 501);
    assert!(
        form.reason
            .contains("'Content-Type 'application/x-www-form-urlencoded"),
        "{}",
        form.reason
    );
    let misnamed = upload(&lab, "local", &[("content", "iso")], "file", "a.iso", b"x").await;
    assert_eq!(
        (misnamed.status, misnamed.reason.as_str()),
        (
            500,
            "wrong field name 'file' for file upload, expected 'filename'"
        )
    );
    let ending = upload(&lab, "local", &[("content", "iso")], "filename", "a.txt", b"x").await;
    assert_eq!(ending.error("filename"), "wrong file extension");
    let content = upload(&lab, "local", &[], "filename", "a.iso", b"x").await;
    assert_eq!(
        content.error("content"),
        "property is missing and it is not optional"
    );
    let blocks = upload(
        &lab,
        "local-lvm",
        &[("content", "iso")],
        "filename",
        "a.iso",
        b"x",
    )
    .await;
    assert_eq!(blocks.reason, "can't upload to storage type 'lvmthin'");
    let torn = lab
        .request(Method::POST, path)
        .header("content-type", "multipart/form-data; boundary=edge")
        .body("--edge\r\nContent-Disposition: form-data; name=\"content\"\r\n\r\niso\r\n");
    assert_eq!(lab.send(torn).await.reason, "upload failed");
}
